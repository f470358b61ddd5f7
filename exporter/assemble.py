"""One bundle: lower, run on the real runtime, compare, check the claims, write: nothing unproven is written."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from edgedeploy import bundle
from exporter import choose, crossing
from exporter.lower import Lowering
from exporter.made import Made, Reference
from exporter.operators.base import Draft, Operator
from exporter.options import Options
from exporter.partition.graph import Piece
from exporter.prepare import FloatModel, Prepared
from exporter.prove import prove
from exporter.runtimes.base import Runtime
from exporter.write import write


def _lower(prepared: Prepared, made: FloatModel, draft: Draft, runtime: Runtime, options: Options, scratch: Path) -> Made:
    """The artifact's stages, their float twins, and the parameters of the choices."""
    work = prepared.work(made, options.target, options.calibration_samples)
    signature = prepared.subject.signature
    one = (Piece(made.weights.model, signature.inputs, signature.outputs),)
    static = draft.precision == "int8-static"
    division = made.division(options.cut, quantised=static) if draft.cut else None
    pieces = division.pieces if division is not None else one
    lowering = Lowering(runtime, work, pieces, quantised_crossing=static)
    if prepared.progress is not None:
        prepared.progress(f"{runtime.name}: lowering in float", 0, 0)
    where = (runtime.name, runtime.backend, options.target)
    in_one = Lowering(runtime, work, one)
    twins = in_float = made.lowered_once(where, lambda folder: in_one.lower("fp32", folder))
    if division is not None:
        twins = made.lowered_once((*where, division.name), lambda folder: lowering.lower("fp32", folder))
    whole = in_float if division is not None else None
    parameters: dict[str, Any] = {"cut": division.parameters} if division is not None else {}
    if draft.precision == "fp32":
        return Made(twins, twins, whole, pieces, division, parameters)
    if not static:
        stages = lowering.lower(draft.precision, scratch / draft.precision)
        return Made(stages, twins, whole, pieces, division, {**stages[0].scheme, **parameters})
    validation = prepared.splits["validation"]
    (scratch / "int8").mkdir()
    stages, candidates = choose.best(lowering, validation, made.validation, scratch / "int8", options.methods)
    crosses = {"crossing": crossing.entries(stages)} if division is not None else {}
    parameters = {
        **stages[0].scheme,
        **parameters,
        **crosses,
        "chosen_on": f"the first {min(choose.JUDGED_ON, len(validation)):,} validation examples",
        "candidates": [candidate.entry() for candidate in candidates],
    }
    return Made(stages, twins, whole, pieces, division, parameters)


def assemble(
    prepared: Prepared,
    draft: Draft,
    operators: list[Operator],
    runtime: Runtime,
    destination: Path,
    options: Options,
    request: str,
    reference: Reference | None,
    *,
    replace: bool,
) -> str:
    """Make the bundle at `destination`; returns its digest. Raises ClaimError, naming the claim, when one does not hold."""
    made = prepared.float_model(operators)
    scratch = Path(tempfile.mkdtemp(prefix="edgedeploy-export-"))
    try:
        lowered = _lower(prepared, made, draft, runtime, options, scratch)
        proof = prove(prepared, made, draft, operators, runtime, options, lowered, reference)
        with bundle.writing(destination, replace=replace) as directory:
            return write(directory, prepared, made, draft, runtime, options, lowered, proof, request, reference)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
