"""One run against another: how many times as long it takes, how sure that is, and what follows from it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

from device_runner.plans import in_turns
from device_runner.results import contexts
from device_runner.results.statistics import MIN_LAUNCHES, ratio, unpaired_ratio
from device_runner.validity import words
from edgedeploy.errors import UserError
from edgedeploy.record import Interval, RunRecord

Verdict = Literal["faster", "slower", "same within the margin", "cannot tell"]


@dataclass(frozen=True)
class Comparison:
    """The candidate against the baseline.

    ratio: the candidate's time over the baseline's, above 1 is slower. paired: by the blocks of one experiment.
    margin: the change that is of no practical consequence, 0.02 for 2 %. despite: what differs and was allowed to.
    """

    baseline: RunRecord
    candidate: RunRecord
    ratio: Interval
    paired: bool
    margin: float
    despite: dict[str, str]
    notes: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """What the whole interval says: it is beyond the margin on one side, inside it, or neither."""
        low, high = self.ratio.low, self.ratio.high
        if low is None or high is None:
            return "cannot tell"
        if low > 1 + self.margin:
            return "slower"
        if high < 1 / (1 + self.margin):
            return "faster"
        return "same within the margin" if low >= 1 / (1 + self.margin) and high <= 1 + self.margin else "cannot tell"

    def slower_than(self, limit: float) -> bool:
        """Whether the candidate takes more than `limit` (0.05 for 5 %) longer, by the whole interval."""
        return self.ratio.low is not None and self.ratio.low > 1 + limit


def compare(baseline: RunRecord, candidate: RunRecord, margin: float, allowed: Collection[str] = ()) -> Comparison:
    """Raises UserError, with every reason, for runs that are not valid or not comparable; `allowed` names aspects
    (of `contexts.ASPECTS`) that may differ."""
    if baseline.id == candidate.id:
        raise UserError(f"{baseline.id} is named twice; name the run that it is to be compared with")
    for record in (baseline, candidate):
        if not record.valid:
            raise UserError(f"{record.id} is not valid, nothing follows from it: {'; '.join(record.invalid_because)}")
    differs = contexts.differences(baseline, candidate)
    refused = {aspect: text for aspect, text in differs.items() if aspect not in allowed}
    if refused:
        reasons = "; ".join(f"{aspect} ({text})" for aspect, text in refused.items())
        raise UserError(
            f"{baseline.id} and {candidate.id} were not measured alike: {reasons}. Measure both in one `edgedeploy bench`, "
            f"or compare them all the same with --despite {','.join(refused)}"
        )
    paired = _interleaved(baseline, candidate)
    found = ratio_of(candidate, baseline)
    if found is None:
        raise UserError(f"{baseline.id} and {candidate.id} have no launches to compare; measure them again")
    notes = [f"{role}: {line}" for role, of in (("baseline", baseline), ("candidate", candidate)) for line in words.said(of)]
    if not paired:
        notes.append(
            "not interleaved: what the device did differently between the two experiments is not in the interval; "
            "name both artifacts in one `edgedeploy bench` to have it taken out"
        )
    if found.low is None:
        notes.append(f"no interval from under {MIN_LAUNCHES} launches; give bench --launches {MIN_LAUNCHES} or more")
    comparison = Comparison(baseline, candidate, found, paired, margin, differs, tuple(notes))
    if paired and found.low is not None and comparison.verdict == "cannot tell" and _could_take_turns(baseline):
        more = "in turns, what the device does from second to second meets both alike: bench --in-turns (docs/in-turns.md)"
        return replace(comparison, notes=(*notes, more))
    return comparison


def _could_take_turns(record: RunRecord) -> bool:
    plan = record.plan
    return plan.turn_ms is None and plan.threads == 1 and plan.mode in in_turns.MODES and len(record.devices) == 1


def ratio_of(numerator: RunRecord, denominator: RunRecord) -> Interval | None:
    """The ratio of two runs' times: paired by block where they are of one experiment. None where they share no block."""
    medians = launch_medians(numerator), launch_medians(denominator)
    if _interleaved(numerator, denominator):
        first, second = ({launch.block: launch.position for launch in record.launches if launch.valid}
                         for record in (numerator, denominator))  # fmt: skip
        return ratio(*medians, {block: first[block] - second[block] for block in set(first) & set(second)})
    # rows that were imported are in nobody's order
    ordered = "imported" not in (numerator.artifact.kind, denominator.artifact.kind)
    return unpaired_ratio(list(medians[0].values()), list(medians[1].values()), ordered=ordered)


def _interleaved(one: RunRecord, other: RunRecord) -> bool:
    # of an imported experiment nobody says in which order it was done
    return one.experiment.id == other.experiment.id and one.artifact.kind != "imported"


def launch_medians(record: RunRecord) -> dict[int, float]:
    """block (launch, where blocks mean nothing) -> median of the steady samples, nanoseconds."""
    return {launch.block: launch.steady_median_ns for launch in record.launches if launch.valid and launch.steady_median_ns}
