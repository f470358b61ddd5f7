"""One bundle: lower, run on the real runtime, compare, check the claims, write: nothing unproven is written."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgedeploy import __version__, bundle, isa, metrics
from edgedeploy.artifact import Claim, Conformance, Lineage, Manifest, Parity, Recipe, Stage, Timing
from edgedeploy.errors import ClaimError
from edgedeploy.int8 import reason as slow_int8_reason
from exporter import choose, host_timing, verify
from exporter.operators.base import Draft, Facts, Operator
from exporter.prepare import GOLDEN_CASES, FloatModel, Prepared
from exporter.runtimes.base import CALIBRATION_METHODS, CalibrationMethod, Lowered, PortedModel, Runtime

#: labelled samples shipped in a bundle, so that a device's accuracy can be measured without the exporter
EVAL_SAMPLES = 1024


@dataclass(frozen=True)
class Options:
    """What an export can be told besides operator, subject and runtime.

    max_points: accuracy an int8 lowering may lose against the float model it was made from.
    """

    target: str
    calibration_samples: int = 256
    methods: tuple[CalibrationMethod, ...] = CALIBRATION_METHODS
    max_points: float = 3.0


@dataclass(frozen=True)
class Reference:
    """Identity on the same runtime: which evaluation examples it gets right, bool [n], and its bundle's digest."""

    right: npt.NDArray[np.bool_]
    digest: str


def toolchain(runtime: Runtime) -> dict[str, str]:
    """Versions of what made the artifact."""
    versions = {"edgedeploy": __version__, "python": platform.python_version()}
    for name in ("torch", *runtime.packages):
        versions[name] = importlib.metadata.version(name)
    return versions


def _tolerance(precision: str, expected: verify.Outputs) -> tuple[float, float]:
    # Float kernels differ by rounding only. int8 kernels of another CPU may round a tie the other way, and one step of
    # an early layer can become a few steps of the output: 2 % of the largest output is about five of its 255 steps.
    largest = max(float(np.abs(array).max()) for array in expected.values())
    return (0.02 * largest, 0.02) if precision == "int8-static" else (1e-3 * max(1.0, largest), 1e-3)


def _parity_claims(parity: Parity, precision: str, largest: float, points: float | None, options: Options) -> list[Claim]:
    agree = "" if parity.same_top1 is None else f", same top class on {parity.same_top1:.2%} of {parity.evaluated:,}"
    if precision == "fp32":
        bound = 1e-3 * max(1.0, largest)
        holds = parity.max_abs <= bound and (parity.same_top1 is None or parity.same_top1 >= 0.999)
        return [Claim(name="parity", holds=holds, detail=f"max |error| {parity.max_abs:.2e} (bound {bound:.2e}){agree}")]
    # The cosine of two logits says nothing where both are near zero, so the class is looked at where there is one.
    close = parity.min_cosine >= 0.9 if parity.same_top1 is None else parity.same_top1 >= 0.9
    limit = "least cosine at least 0.9" if parity.same_top1 is None else "same top class on at least 90 %"
    detail = f"least cosine {parity.min_cosine:.4f}, max |error| {parity.max_abs:.3f}{agree} (bound: {limit})"
    claims = [Claim(name="parity", holds=close, detail=detail)]
    if points is not None:
        claims.append(
            Claim(
                name="accuracy kept in int8",
                holds=points <= options.max_points,
                detail=f"{points:+.2f} points lost against its float model (at most {options.max_points:g}, --max-drop)",
            )
        )
    return claims


def _lower(
    prepared: Prepared, made: FloatModel, draft: Draft, runtime: Runtime, options: Options, scratch: Path
) -> tuple[Lowered, Lowered, dict[str, Any]]:
    """The artifact, its float twin (itself for fp32), and the parameters of the choice."""
    work = prepared.work(made, options.target, options.calibration_samples)
    if prepared.progress is not None:
        prepared.progress(f"{runtime.name}: lowering in float", 0, 0)
    twin = runtime.lower(work, scratch / f"float{runtime.suffix}")
    if draft.precision == "fp32":
        return twin, twin, {}
    (scratch / "int8").mkdir()
    validation = prepared.splits["validation"]
    chosen, candidates = choose.best(runtime, work, validation, made.validation, scratch / "int8", options.methods)
    return (
        chosen,
        twin,
        {
            **chosen.scheme,
            "chosen_on": f"the first {min(choose.JUDGED_ON, len(validation)):,} validation examples",
            "candidates": [candidate.entry() for candidate in candidates],
        },
    )


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
    subject, progress = prepared.subject, prepared.progress
    made = prepared.float_model(operators)
    scratch = Path(tempfile.mkdtemp(prefix="edgedeploy-export-"))
    try:
        lowered, twin, parameters = _lower(prepared, made, draft, runtime, options, scratch)
        model = PortedModel(runtime.open(lowered.file), lowered.inputs, lowered.outputs)
        evaluation = prepared.splits["evaluation"]
        label = f"{subject.name} {draft.asked} on {runtime.name}: evaluating"
        outputs = verify.run_one_by_one(model, evaluation, label, progress)
        golden = min(GOLDEN_CASES, len(evaluation))
        against = f"the float model {made.weights.digest[:12]} in torch"
        parity = verify.parity(made.evaluation, outputs, prepared.primary, golden, against)

        measured = subject.signature.metric == "top1"
        right = metrics.top1(outputs[prepared.primary], evaluation.labels) if measured else None
        points = None
        if right is not None:
            float_right = metrics.top1(made.evaluation[prepared.primary], evaluation.labels)
            points = metrics.paired_drop(float_right, right, None).points
        largest = max(float(np.abs(array[:golden]).max()) for array in made.evaluation.values())
        facts = Facts(
            original=prepared.original.weights, made=made.weights,
            original_parameters=prepared.original.parameters, made_parameters=made.parameters,
            original_macs=prepared.original.macs, made_macs=made.macs,
            coverage=lowered.coverage, scheme=lowered.scheme,
        )  # fmt: skip
        claims = [claim for operator in operators for claim in operator.claims(facts)]
        claims += _parity_claims(parity, draft.precision, largest, points, options)
        claims.append(Claim(name="disjoint sets", holds=True, detail="no example is in two sets, by digest of each example"))
        broken = [claim for claim in claims if not claim.holds]
        if broken:
            listed = "; ".join(f"{claim.name}: {claim.detail}" for claim in broken)
            raise ClaimError(f"{subject.name} under {draft.asked} on {runtime.name} does not keep its claim: {listed}")

        timings, warnings = _timings(prepared, runtime, lowered, twin, draft, options)
        if lowered.coverage.fast_share < 0.5:
            off = ", ".join(f"{count} {kind}" for kind, count in lowered.coverage.off_backend.items())
            share = f"the {runtime.backend} backend took {lowered.coverage.fast_share:.0%} of the MACs"
            warnings.append(f"{share}; left to plain kernels: {off}")
        with bundle.writing(destination, replace=replace) as directory:
            file = f"model{runtime.suffix}"
            shutil.copyfile(lowered.file, directory / file)
            _write_golden(directory, prepared, made.evaluation, outputs, golden)
            _write_eval(directory, prepared, outputs, right)
            stage = Stage(
                file=file, sha256=bundle.file_sha256(directory / file), bytes=(directory / file).stat().st_size,
                inputs=lowered.inputs, outputs=lowered.outputs, coverage=lowered.coverage,
            )  # fmt: skip
            atol, rtol = _tolerance(draft.precision, {name: array[:golden] for name, array in outputs.items()})
            versions = toolchain(runtime)
            distilled = made.weights.digest != prepared.original.weights.digest
            manifest = Manifest(
                subject=subject.name, signature=subject.signature,
                recipe=Recipe(
                    asked=draft.asked, transforms=draft.transforms, precision=draft.precision,
                    parameters={**parameters, **({"training": made.weights.recipe} if made.weights.recipe else {})},
                ),
                runtime=runtime.name, backend=runtime.backend, target_isa=options.target, stages=(stage,),
                parameters=made.parameters, macs=made.macs,
                lineage=Lineage(
                    teacher=prepared.original.weights.digest, teacher_origin=prepared.original.weights.origin,
                    student=made.weights.digest if distilled else None,
                    student_origin=made.weights.origin if distilled else "",
                ),
                sets=prepared.set_digests, request=request, toolchain=versions, parity=parity,
                accuracy=metrics.accuracy(right) if right is not None else None,
                drop=metrics.paired_drop(reference.right, right, reference.digest)
                if reference is not None and right is not None else None,
                conformance=Conformance(
                    atol=atol, rtol=rtol, runtime_version=versions[runtime.packages[0]], isa=isa.host_target()
                ),
                claims=tuple(claims), warnings=tuple(warnings), files=bundle.list_files(directory, {file}),
                created=datetime.now(UTC).isoformat(timespec="seconds"), timings=timings,
            )  # fmt: skip
            digest = bundle.seal(directory, manifest)
        return digest
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _timings(
    prepared: Prepared, runtime: Runtime, lowered: Lowered, twin: Lowered, draft: Draft, options: Options
) -> tuple[dict[str, Timing], list[str]]:
    """Host medians of an int8 artifact and its float twin, and the reason where int8 is the slower one."""
    if draft.precision != "int8-static" or isa.host_target() != options.target:
        return {}, []
    batch = prepared.splits["evaluation"].batch(0, 1)
    pair = [PortedModel(runtime.open(each.file), each.inputs, each.outputs) for each in (lowered, twin)]
    int8_ms, float_ms = host_timing.medians_ms(pair, batch)
    note = ""
    if int8_ms > float_ms:
        note = f"int8 is slower than float here ({int8_ms:.3f} against {float_ms:.3f} ms): " + slow_int8_reason(
            lowered.coverage, options.target
        )
        if prepared.progress is not None:
            prepared.progress(f"warning: {runtime.name}: {note}", 0, 0)
    return {
        "host_int8": Timing(median_ms=int8_ms, threads=1, note=note),
        "host_float_twin": Timing(median_ms=float_ms, threads=1),
    }, []


def _write_golden(
    directory: Path, prepared: Prepared, float_outputs: Mapping[str, npt.NDArray[Any]], outputs: verify.Outputs, golden: int
) -> None:
    batch = prepared.splits["evaluation"].batch(0, golden)
    for spec in prepared.subject.signature.inputs:
        bundle.write_array(directory / "golden/inputs", spec.name, batch[spec.name])
    for name, array in outputs.items():
        bundle.write_array(directory / "golden/expected", name, array[:golden])
        bundle.write_array(directory / "golden/float", name, float_outputs[name][:golden])


def _write_eval(directory: Path, prepared: Prepared, outputs: verify.Outputs, right: npt.NDArray[np.bool_] | None) -> None:
    if right is None:
        return
    evaluation = prepared.splits["evaluation"]
    # spread over the whole set, so that a set sorted by class is covered too
    index = np.unique(np.linspace(0, len(evaluation) - 1, min(EVAL_SAMPLES, len(evaluation))).round().astype(np.int64))
    some = evaluation.take(index)
    bundle.write_arrays_compressed(directory / "eval/inputs.npz", some.batch(0, len(some)))
    bundle.write_arrays_compressed(directory / "eval/labels.npz", {"labels": some.labels, "index": index})
    predictions = outputs[prepared.primary].argmax(1).astype(np.int64)
    bundle.write_arrays_compressed(directory / "eval/host.npz", {"predictions": predictions, "right": right})
