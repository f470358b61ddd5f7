"""More than two runs together: whether any differ, which pairs do, and by how much."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from device_runner.results import contexts
from device_runner.results.statistics import MIN_LAUNCHES, Effect, cliffs_delta, conover, kruskal_wallis
from device_runner.results.versus import launch_medians, ratio_of
from edgedeploy.errors import UserError
from edgedeploy.record import Interval, RunRecord

#: the level of both tests
LEVEL = 0.05
#: pairs grow with the square of the runs, and Holm's adjustment with the pairs
MAX_RUNS = 50


@dataclass(frozen=True)
class Pair:
    """The second run against the first. ratio: second's time over first's. p: Conover's, adjusted by Holm over all pairs.

    effect: Cliff's delta of the second's launch medians over the first's, above 0 is slower.
    shown: Kruskal-Wallis found a difference, and this p is below the level.
    """

    first: RunRecord
    second: RunRecord
    ratio: Interval
    p: float
    effect: Effect
    shown: bool


@dataclass(frozen=True)
class Together:
    """h, p: Kruskal-Wallis over the medians of the launches of all runs."""

    records: tuple[RunRecord, ...]
    h: float
    p: float
    pairs: tuple[Pair, ...]
    despite: dict[str, str]
    notes: tuple[str, ...]

    @property
    def differ(self) -> bool:
        return self.p < LEVEL


def compare_all(records: Sequence[RunRecord], allowed: Collection[str] = ()) -> Together:
    """Raises UserError, with every reason, for runs that are not valid, not comparable or have too few launches; `allowed`
    names aspects (of `contexts.ASPECTS`) that may differ."""
    identifiers = [record.id for record in records]
    twice = sorted({each for each in identifiers if identifiers.count(each) > 1})
    if twice:
        raise UserError(f"named twice: {', '.join(twice)}")
    if len(records) > MAX_RUNS:
        raise UserError(f"{len(records)} runs are over the {MAX_RUNS} that are compared at a time; name fewer")
    despite = _comparable(records, allowed)
    groups = [list(launch_medians(record).values()) for record in records]
    short = [record.id for record, group in zip(records, groups, strict=True) if len(group) < MIN_LAUNCHES]
    if short:
        raise UserError(
            f"under {MIN_LAUNCHES} valid launches, nothing to rank: {', '.join(short)}; "
            f"give bench --launches {MIN_LAUNCHES} or more"
        )
    h, p = kruskal_wallis(groups)
    pairs = []
    for (i, j), adjusted in conover(groups).items():
        ratio = ratio_of(records[j], records[i])
        if ratio is None:
            raise UserError(f"{records[i].id} and {records[j].id} have no launches side by side; measure them again")
        effect = cliffs_delta(groups[j], groups[i])
        pairs.append(Pair(records[i], records[j], ratio, adjusted, effect, p < LEVEL and adjusted < LEVEL))
    return Together(tuple(records), h, p, tuple(pairs), despite, _notes(records))


def _comparable(records: Sequence[RunRecord], allowed: Collection[str]) -> dict[str, str]:
    """aspect -> what differs and was allowed to."""
    invalid = [f"{record.id} ({'; '.join(record.invalid_because)})" for record in records if not record.valid]
    if invalid:
        raise UserError(f"not valid, nothing follows from it: {', '.join(invalid)}")
    refused: dict[str, list[str]] = {}
    despite: dict[str, list[str]] = {}
    for at, one in enumerate(records):
        # every pair, not each against the first: temperatures may be near the first's on either side of it
        for other in records[at + 1 :]:
            for aspect, text in contexts.differences(one, other).items():
                (despite if aspect in allowed else refused).setdefault(aspect, []).append(text)
    if refused:
        reasons = "; ".join(f"{aspect} ({texts[0]})" for aspect, texts in refused.items())
        raise UserError(
            f"these runs were not measured alike: {reasons}. Measure all in one `edgedeploy bench`, or compare them all the "
            f"same with --despite {','.join(refused)}"
        )
    return {aspect: texts[0] for aspect, texts in despite.items()}


def _notes(records: Sequence[RunRecord]) -> tuple[str, ...]:
    if len({record.experiment.id for record in records}) == 1 and records[0].artifact.kind != "imported":
        return ()
    return (
        "not all interleaved: what the device did differently between the experiments is in the ranks; name all artifacts in "
        "one `edgedeploy bench` to have it taken out",
    )
