"""What an artifact does on its real runtime on this host, and whether it keeps its claims."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgedeploy import isa, metrics
from edgedeploy.artifact import Claim, Parity, Timing
from edgedeploy.errors import ClaimError
from edgedeploy.int8 import reason as slow_int8_reason
from exporter import claims, crossing, diverge, host_timing, lower, verify
from exporter.lower import Chain
from exporter.made import Made, Reference
from exporter.operators.base import Draft, Facts, Operator, Stages
from exporter.options import Options
from exporter.prepare import GOLDEN_CASES, FloatModel, Prepared
from exporter.runtimes.base import Lowered, Runtime, Work

#: a median this many times another one's is slower; what is less is noise, in so quick a look
SLOWER = 1.02


@dataclass(frozen=True)
class Proof:
    """What the artifact was found to do. right: bool [n], None where nothing is measured; golden: cases kept in the bundle."""

    outputs: verify.Outputs
    right: npt.NDArray[np.bool_] | None
    parity: Parity
    golden: int
    claims: tuple[Claim, ...]
    timings: dict[str, Timing]
    warnings: tuple[str, ...]


def prove(
    prepared: Prepared,
    made: FloatModel,
    draft: Draft,
    operators: list[Operator],
    runtime: Runtime,
    options: Options,
    lowered: Made,
    reference: Reference | None,
) -> Proof:
    """Run the artifact over the evaluation set and check every claim. Raises ClaimError naming those that do not hold."""
    subject = prepared.subject
    names = [spec.name for spec in subject.signature.outputs]
    chain = lower.open_chain(runtime, lowered.stages, names)
    evaluation = prepared.splits["evaluation"]
    label = f"{subject.name} {draft.asked} on {runtime.name}: evaluating"
    outputs = verify.run_one_by_one(chain, evaluation, label, prepared.progress)
    golden = min(GOLDEN_CASES, len(evaluation))
    given = subject.given
    against = f"the float model {made.weights.digest[:12]} in torch"
    if given is not None:
        converted = "".join(f", as {tool} {version} converted it," for tool, version in given.tools.items())
        against = f"the given {given.form} file {made.weights.digest[:12]}{converted} on {runtime.name}"
    parity = verify.parity(made.evaluation, outputs, prepared.primary, golden, against)
    right = points = None
    if subject.signature.metric == "top1":
        right = metrics.top1(outputs[prepared.primary], evaluation.labels)
        float_right = metrics.top1(made.evaluation[prepared.primary], evaluation.labels)
        points = metrics.paired_drop(float_right, right, None).points
    largest = max(float(np.abs(array[:golden]).max()) for array in made.evaluation.values())
    timings = _timings(prepared, runtime, chain, lowered, draft, options, reference)
    found = [claim for operator in operators for claim in operator.claims(
        _facts(prepared, made, runtime, lowered, golden, largest, timings, reference)
    )]  # fmt: skip
    kept = claims.of_parity(parity, draft.precision, largest, points, options.max_points)
    if not kept[0].holds:
        where = _where(prepared, made, draft, runtime, options, lowered)
        kept[0] = kept[0].model_copy(update={"detail": f"{kept[0].detail}; {where}"})
    found += kept
    found.append(Claim(name="disjoint sets", holds=True, detail="no example is in two sets, by digest of each example"))
    broken = [claim for claim in found if not claim.holds]
    if broken:
        listed = "; ".join(f"{claim.name}: {claim.detail}" for claim in broken)
        raise ClaimError(f"{subject.name} under {draft.asked} on {runtime.name} does not keep its claim: {listed}")
    coverage = lowered.coverage
    warnings = []
    if coverage.fast_share < 0.5:
        off = ", ".join(f"{count} {kind}" for kind, count in coverage.off_backend.items())
        warnings.append(
            f"the {runtime.backend} backend took {coverage.fast_share:.0%} of the MACs; left to plain kernels: {off}"
        )
    return Proof(outputs, right, parity, golden, tuple(found), timings, tuple(warnings))


def _where(prepared: Prepared, made: FloatModel, draft: Draft, runtime: Runtime, options: Options, lowered: Made) -> str:
    """In words, the first operator after which the artifact and its float model differ."""
    if prepared.progress is not None:
        prepared.progress(f"{runtime.name}: parity is lost; looking for the operator", 0, 0)
    work = prepared.work(made, options.target, options.calibration_samples)
    scheme = lowered.stages[0].scheme

    def again(part: Work, destination: Path) -> Lowered:
        if draft.precision == "fp32":
            return runtime.lower(part, destination)
        if draft.precision == "int8-static":
            return runtime.lower_int8(part, scheme["scheme"], scheme["calibration"], destination)
        return runtime.lower_to(part, draft.precision, destination)

    limit = diverge.FLOAT_LIMIT if draft.precision in ("fp32", "fp16") else diverge.QUANTISED_LIMIT
    return diverge.first_divergence(runtime, work, prepared.splits["evaluation"], again, limit)


def _facts(
    prepared: Prepared, made: FloatModel, runtime: Runtime, lowered: Made, golden: int, largest: float,
    timings: dict[str, Timing], reference: Reference | None,
) -> Facts:  # fmt: skip
    stages = None
    if lowered.division is not None and lowered.whole is not None:
        names = [spec.name for spec in prepared.subject.signature.outputs]
        some = prepared.splits["evaluation"].take(np.arange(golden))
        composed, whole = (
            verify.run_one_by_one(lower.open_chain(runtime, each, names), some, "", None)
            for each in (lowered.twins, lowered.whole)
        )
        gap = max(float(np.abs(composed[name].astype(np.float64) - whole[name]).max()) for name in names)
        first = lowered.division.position.macs_before
        stages = Stages(
            macs=(first, made.macs - first), crossing=crossing.tensors(lowered.stages, lowered.pieces),
            unequal=tuple(crossing.unequal(lowered.stages)), gap=gap, bound=claims.float_bound(largest),
        )  # fmt: skip
    return Facts(
        original=prepared.original.weights, made=made.weights,
        original_parameters=prepared.original.parameters, made_parameters=made.parameters,
        original_macs=prepared.original.macs, made_macs=made.macs,
        coverage=lowered.coverage, scheme=lowered.stages[0].scheme,
        made_bytes=lowered.nbytes, float_bytes=lowered.float_nbytes,
        original_bytes=reference.bundle.manifest.model_bytes if reference is not None else None,
        made_ms=timings["host"].median_ms if "host" in timings else None,
        original_ms=timings["host_identity"].median_ms if "host_identity" in timings else None,
        stages=stages,
    )  # fmt: skip


def _timings(
    prepared: Prepared, runtime: Runtime, chain: Chain, lowered: Made, draft: Draft, options: Options,
    reference: Reference | None,
) -> dict[str, Timing]:  # fmt: skip
    """Host medians of an artifact, of its float twin and of identity, and the reason where int8 is slower than the twin.

    Empty for the model as it is, and where this host is not the target.
    """
    plain = draft.precision == "fp32" and not draft.transforms
    if plain or isa.host_target() != options.target:
        return {}
    names = [spec.name for spec in prepared.subject.signature.outputs]
    chains = {"host": chain}
    if draft.precision != "fp32":
        chains["host_float_twin"] = lower.open_chain(runtime, lowered.twins, names)
    if reference is not None:
        chains["host_identity"] = reference.chain(runtime)
    batch = prepared.splits["evaluation"].batch(0, 1)
    medians = dict(zip(chains, host_timing.medians_ms(list(chains.values()), batch), strict=True))
    timings = {name: Timing(median_ms=median, threads=1) for name, median in medians.items()}
    if medians["host"] > SLOWER * medians.get("host_float_twin", float("inf")):
        why = str(lowered.stages[0].scheme.get("slow_because") or slow_int8_reason(lowered.coverage, options.target))
        note = (
            f"{draft.precision} is slower than float here ({medians['host']:.3f} against "
            f"{medians['host_float_twin']:.3f} ms): {why}"
        )
        timings["host"] = Timing(median_ms=medians["host"], threads=1, note=note)
        if prepared.progress is not None:
            prepared.progress(f"warning: {runtime.name}: {note}", 0, 0)
    return timings
