"""Which of the measured artifacts to deploy: what meets the constraints, the front of those, one choice, and why.

Nothing is decided on a difference that was not shown. A constraint on the latency is met when the whole interval meets it. The
artifacts that the best one by the objective cannot be told apart from stand beside it, and among those the choice is by what
else there is to win: accuracy, or speed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from device_runner.results import contexts
from device_runner.results.summary import IDENTITY
from device_runner.results.versus import ratio_of
from edgedeploy.artifact import Drop
from edgedeploy.errors import UserError
from edgedeploy.record import RunRecord
from edgedeploy.terminal import size

Objective = Literal["latency", "accuracy", "size"]
OBJECTIVES: tuple[Objective, ...] = ("latency", "accuracy", "size")
#: of McNemar's test of an artifact's drop: above it, no accuracy was shown to be lost
P_SHOWN = 0.05


@dataclass(frozen=True)
class Constraints:
    """None where there is none. max_drop: points of accuracy against identity, by the paired estimate."""

    max_latency_ms: float | None = None
    max_drop: float | None = None
    max_bytes: int | None = None
    max_memory_bytes: int | None = None
    tier: str | None = None


@dataclass(frozen=True)
class Ruled:
    """A run that is out, and every constraint that it fails, in words."""

    record: RunRecord
    because: tuple[str, ...]


@dataclass(frozen=True)
class Recommendation:
    """choice: None where nothing meets the constraints. front: of what does, the fastest first: nothing there is both
    slower and less accurate than another. alike: what the choice could not be told apart from by the objective. places:
    whether the runs are of several devices, so that a run is not known by its artifact alone."""

    objective: Objective
    choice: RunRecord | None
    reason: str
    front: tuple[RunRecord, ...]
    alike: tuple[RunRecord, ...]
    ruled_out: tuple[Ruled, ...]
    notes: tuple[str, ...]
    places: bool


def name(record: RunRecord, *, place: bool) -> str:
    """An artifact, for people; with `place`, and the device that it was measured on."""
    artifact = record.artifact
    shown = f"{artifact.operator} on {artifact.runtime}-{artifact.backend}"
    return f"{shown}, {record.place}" if place else shown


def recommend(records: Sequence[RunRecord], constraints: Constraints, objective: Objective, margin: float) -> Recommendation:
    """Raises UserError for runs of several subjects, and where there is none."""
    if not records:
        raise UserError("no runs to choose from; make some with: edgedeploy bench")
    subjects = sorted({record.artifact.subject for record in records})
    if len(subjects) > 1:
        raise UserError(f"these runs are of several subjects, name one with --subject: {', '.join(subjects)}")
    places = len({record.place for record in records}) > 1
    ruled = [Ruled(record, _fails(record, constraints)) for record in records]
    fit = [each.record for each in ruled if not each.because]
    out = tuple(each for each in ruled if each.because)
    if not fit:
        return Recommendation(objective, None, "nothing that was measured meets the constraints", (), (), out, (), places)
    best = min(fit, key=_ORDER[objective])
    alike = [best, *(record for record in fit if record is not best and _untold(best, record, objective, margin))]
    choice = min(alike, key=_SECOND[objective])
    others = tuple(record for record in sorted(alike, key=_ORDER[objective]) if record is not choice)
    reason = _only(len(records)) if len(fit) == 1 else _reason(choice, best, others, objective, place=places)
    return Recommendation(objective, choice, reason, _front(fit), others, out, _notes(fit, choice, constraints), places)


def _median(record: RunRecord) -> float:
    assert record.median_ms is not None
    return record.median_ms.estimate


def _accuracy(record: RunRecord) -> float:
    # one that was not measured is below every one that was
    return record.artifact.accuracy.value if record.artifact.accuracy is not None else -1.0


_ORDER: dict[Objective, Callable[[RunRecord], tuple[float, ...]]] = {
    "latency": lambda record: (_median(record), -_accuracy(record)),
    "accuracy": lambda record: (-_accuracy(record), _median(record)),
    "size": lambda record: (record.artifact.model_bytes, _median(record)),
}
_SECOND: dict[Objective, Callable[[RunRecord], tuple[float, ...]]] = {
    "latency": lambda record: (-_accuracy(record), _median(record)),
    "accuracy": lambda record: (_median(record), -_accuracy(record)),
    "size": lambda record: (_median(record), -_accuracy(record)),
}


def _fails(record: RunRecord, limits: Constraints) -> tuple[str, ...]:
    artifact, median = record.artifact, record.median_ms
    found = []
    if not record.valid or median is None:
        return (f"not valid: {'; '.join(record.invalid_because) or 'no median'}",)
    # over two devices it is on the tier that computes: that a model is cut is a placement of its own
    if limits.tier is not None and limits.tier not in (record.tier, record.computes_on):
        found.append(f"tier: {record.tier or 'none said'}, not {limits.tier}")
    if limits.max_latency_ms is not None:
        shown = f"{median.estimate:.4g} ms"
        if median.high is None:
            found.append(f"latency: {shown} from too few launches to be sure; give bench --launches 3 or more")
        elif median.high > limits.max_latency_ms:
            sure = "" if median.estimate > limits.max_latency_ms else " may be: its interval"
            found.append(f"latency:{sure} {shown} [{median.low:.4g}, {median.high:.4g}], over {limits.max_latency_ms:g} ms")
    if limits.max_drop is not None:
        drop = artifact.drop
        if drop is None and artifact.operator != IDENTITY:
            found.append("accuracy: what it loses against identity was not measured")
        elif drop is not None and drop.points > limits.max_drop:
            found.append(f"accuracy: {drop.points:.2f} points lost [{drop.low:.2f}, {drop.high:.2f}], over {limits.max_drop:g}")
    if limits.max_bytes is not None and artifact.model_bytes > limits.max_bytes:
        found.append(f"size: {size(artifact.model_bytes)}, over {size(limits.max_bytes)}")
    if limits.max_memory_bytes is not None:
        # of a launch that does nothing else, where there was one
        of_its_own = record.memory.peak_kb if record.memory is not None else None
        peak = 1024 * (of_its_own or max((launch.peak_rss_kb or 0 for launch in record.launches if launch.valid), default=0))
        if not peak:
            found.append("memory: the device did not say")
        elif peak > limits.max_memory_bytes:
            found.append(f"memory: {size(peak)} at its peak, over {size(limits.max_memory_bytes)}")
    return tuple(found)


def _front(fit: Sequence[RunRecord]) -> tuple[RunRecord, ...]:
    found: list[RunRecord] = []
    for record in sorted(fit, key=_ORDER["latency"]):
        if not found or _accuracy(record) > _accuracy(found[-1]):
            found.append(record)
    return tuple(found)


def _untold(best: RunRecord, other: RunRecord, objective: Objective, margin: float) -> bool:
    """Whether `other` was not shown to be worse than `best` by the objective."""
    if objective == "size":
        return other.artifact.model_bytes == best.artifact.model_bytes
    if objective == "latency":
        if contexts.differences(best, other):
            # measured elsewhere or otherwise: their ratio says nothing, their own intervals do
            return _low(other) <= _median(best) * (1 + margin)
        found = ratio_of(other, best)
        return found is None or found.low is None or found.low <= 1 + margin
    if _accuracy(other) < 0:
        return False
    return _lost(other) <= _lost(best) or not _shown_to_lose(best, other)


def _low(record: RunRecord) -> float:
    assert record.median_ms is not None
    return record.median_ms.low if record.median_ms.low is not None else 0.0


def _lost(record: RunRecord) -> float:
    return record.artifact.drop.points if record.artifact.drop is not None else 0.0


def _shown_to_lose(best: RunRecord, other: RunRecord) -> bool:
    """Whether `other` is less accurate than `best` beyond chance, by what each was paired with: identity."""
    theirs, ours = other.artifact.drop, best.artifact.drop
    if theirs is None:
        return False
    if ours is None:
        return _shows_a_loss(theirs)
    # what lost against identity stands behind what was not shown to, though the two intervals overlap
    return theirs.low > ours.high or (_shows_a_loss(theirs) and not _shows_a_loss(ours))


def _shows_a_loss(drop: Drop) -> bool:
    return drop.p_value < P_SHOWN if drop.p_value is not None else drop.low > 0


def _only(measured: int) -> str:
    """Why the one that meets the constraints is chosen: there was nothing to compare it with."""
    if measured == 1:
        return "it is the only one that was measured, and meets the constraints; nothing was compared with it"
    return f"it is the only one of {measured} that meets the constraints"


def _reason(choice: RunRecord, best: RunRecord, alike: Sequence[RunRecord], objective: Objective, *, place: bool) -> str:
    superlative = {"latency": "fastest", "accuracy": "most accurate", "size": "smallest"}[objective]
    if choice is best and not alike:
        return f"it is the {superlative} of what meets the constraints, and was shown to be"
    if choice is best:
        return f"it is the {superlative} of what meets the constraints; others cannot be told apart from it by that"
    second = {"latency": "most accurate", "accuracy": "fastest", "size": "fastest"}[objective]
    return (
        f"{name(best, place=place)} was not shown to be better by {objective}, and this is the {second} of those that are alike"
    )


def _notes(fit: Sequence[RunRecord], choice: RunRecord, limits: Constraints) -> tuple[str, ...]:
    found = []
    drop = choice.artifact.drop
    if limits.max_drop is not None and drop is not None and drop.high > limits.max_drop:
        found.append(
            f"its loss of {drop.points:.2f} points has an interval that reaches {drop.high:.2f}, over the {limits.max_drop:g} "
            "allowed: a larger evaluation set would tell"
        )
    if choice.artifact.accuracy is None:
        found.append("its accuracy was not measured")
    apart = {aspect for record in fit for aspect in contexts.differences(choice, record)}
    if apart:
        found.append(f"the runs were not all measured alike: {', '.join(sorted(apart))} differ")
    if len({record.experiment.id for record in fit}) > 1:
        found.append("the runs are of several experiments, not interleaved with each other")
    return tuple(found)
