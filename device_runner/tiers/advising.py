"""`partition advise`: the stages measured apart, the link, the prediction of each candidate, and the fastest ones for real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from device_runner import artifacts
from device_runner.tiers import benching, candidates, profiles
from device_runner.tiers.advice import LinkFigures, Prediction, Verdict, judged, predict, ranked
from device_runner.tiers.looking import open_link
from edgedeploy import bundle
from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from device_runner.results.store import Store
    from device_runner.tiers.benching import Plans
    from device_runner.tiers.pair import Pair
    from device_runner.tiers.shape import Shape
    from edgedeploy.progress import StatusLine
    from edgedeploy.record import RunRecord


@dataclass(frozen=True)
class Advice:
    """predictions: the fastest first. measured: end to end, by the candidate's name, of those that were measured."""

    link: LinkFigures
    predictions: list[Prediction]
    measured: dict[str, RunRecord] = field(default_factory=dict)
    verdict: Verdict | None = None


def advise(
    paths: Sequence[Path], pair: Pair, how: Plans, link: Shape | None, store: Store, progress: StatusLine,
    started: Callable[[str], None], *, measure: int = 0, wait: bool = False,
) -> Advice:  # fmt: skip
    """Predict every candidate among the bundles at `paths`, and measure so many of them. link: assumed, None: measured.

    Raises UserError for bundles that cannot be compared, and for what cannot be measured.
    """
    found = candidates.of([bundle.read(path) for path in artifacts.find(paths)])
    near = profiles.works(found, pair.near, how.near, store, progress, started, far=False, wait=wait)
    far = profiles.works(found, pair.far, how.far, store, progress, started, far=True, wait=wait)
    if link is not None:
        figures = LinkFigures(2 * link.delay_ms, link.mbit_s, link.mbit_s, f"assumed: {link}")
    else:
        progress.now(f"measuring the link between {pair.name}")
        with open_link(pair, how.far, progress.now if wait else None) as opened:
            look, way = opened.look(), "; ".join(opened.path.hops)
        figures = LinkFigures(look.rtt_us / 1000, look.up_mbit_s, look.down_mbit_s, f"measured: {way}")
    made = [predict(each, near.get(place), far.get(place), figures) for place, each in enumerate(found)]
    advice = Advice(figures, ranked(made))
    return _checked(advice, pair, how, store, progress, started, measure, wait=wait) if measure else advice


def _checked(
    advice: Advice, pair: Pair, how: Plans, store: Store, progress: StatusLine, started: Callable[[str], None], count: int,
    *, wait: bool,
) -> Advice:  # fmt: skip
    """With what the fastest candidates take for real. What is all near was measured so already, and is compared as well."""
    chosen = to_measure(advice, count)
    paths = [each.candidate.bundle.path for each in chosen]
    finished = benching.bench(paths, pair, how, store, 0, {}, progress, started, wait=wait)
    by_digest = {record.artifact.digest: record for record in finished.records}
    records = {each.candidate.name: by_digest[each.candidate.bundle.digest] for each in chosen}
    for each in advice.predictions:
        if not each.candidate.crosses:
            records[each.candidate.name] = store.read(each.runs[0])
    times = {name: record.median_ms.estimate for name, record in records.items() if record.valid and record.median_ms}
    order = [each for each in advice.predictions if each.candidate.name in records]
    return Advice(advice.link, advice.predictions, records, judged(order, times))


def to_measure(advice: Advice, count: int) -> list[Prediction]:
    """The fastest candidates that cross the link, so many. Raises UserError where there are fewer."""
    crossing = [each for each in advice.predictions if each.candidate.crosses]
    if len(crossing) < count:
        raise UserError(
            f"--measure {count}: only {len(crossing)} of these candidates cross the link; name bundles with more cuts, or "
            "measure fewer"
        )
    return crossing[:count]
