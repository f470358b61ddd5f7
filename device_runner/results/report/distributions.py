"""How the times of a run are spread, launch by launch: a curve each, so that two modes, a tail or a slow launch are seen.

The scale is relative to the run's own median, which puts runs of every speed beside each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from device_runner.results.report import axes, numbers, svg
from device_runner.results.report.gather import Entry
from device_runner.results.report.samples import LaunchSamples
from device_runner.results.report.scales import Log

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_ROW, _CURVE = 46, 34
_BINS = 72
#: the scale reaches from the least to the largest of these quantiles of any launch, no further than LOW to HIGH
_TAILS = (0.005, 0.99)
_LOW, _HIGH = 0.5, 2.5


def draw(entries: Sequence[Entry], samples: Mapping[str, Sequence[LaunchSamples]], width: int) -> str:
    """entries: of one place and runtime, each with samples by its run id."""
    narrow = axes.is_narrow(width)
    left, right = (108, 76) if narrow else (190, 130)
    height = 12 + _ROW * len(entries) + 50
    floor = height - 46
    scale = _scale(entries, samples, left, width - right)
    title = "time ÷ median of the run" if narrow else "time of an inference ÷ median of its run (log scale)"
    parts = [axes.bottom(scale, floor, 6, title, 4 if narrow else 9, "×"), svg.line(scale(1), 6, scale(1), floor, "one")]
    for number, entry in enumerate(entries):
        parts.append(_row(entry, samples[entry.record.id], scale, 12.0 + _ROW * number, width, narrow))
    said = f"distribution of the times of {len(entries)} runs, by launch"
    return svg.drawing(width, height, said, *parts, class_="distributions")


def _scale(entries: Sequence[Entry], samples: Mapping[str, Sequence[LaunchSamples]], left: float, right: float) -> Log:
    import numpy as np

    seen = [
        bound / _middle(entry, samples[entry.record.id])
        for entry in entries
        for launch in samples[entry.record.id]
        # one that is not valid may lie anywhere, and is not to press the others together
        if launch.valid
        for bound in np.quantile(launch.elapsed_ms, _TAILS).tolist()
    ]
    return Log(max(_LOW, min([0.95, *seen])), min(_HIGH, max([1.05, *seen])), left, right)


def _middle(entry: Entry, launches: Sequence[LaunchSamples]) -> float:
    """What the times are relative to, in ms: the run's median; of a run that is not valid, that of all its samples."""
    import numpy as np

    if entry.drawable and entry.record.median_ms is not None:
        return entry.record.median_ms.estimate
    return float(np.median(np.concatenate([launch.elapsed_ms for launch in launches])))


def _row(entry: Entry, launches: Sequence[LaunchSamples], scale: Log, top: float, width: int, narrow: bool) -> str:
    import numpy as np

    floor, median = top + _CURVE, _middle(entry, launches)
    edges = np.geomspace(scale.low, scale.high, _BINS + 1)
    shares = [_shares(launch.elapsed_ms / median, edges) for launch in launches]
    highest = max((float(share.max()) for share in shares), default=0.0) or 1.0
    curves, ticks = [], []
    for launch, share in zip(launches, shares, strict=True):
        kind = "curve" if launch.valid else "curve invalid"
        curves.append(svg.polyline(_outline(share, edges, scale, floor, highest), kind))
        at = scale(float(np.median(launch.elapsed_ms)) / median)
        if launch.valid:
            ticks.append(svg.line(at, floor + 2, at, floor + 8, "tickmark"))
        else:
            ticks.append(svg.polyline([(at - 3, floor + 2), (at + 3, floor + 8)], "tickmark invalid"))
            ticks.append(svg.polyline([(at - 3, floor + 8), (at + 3, floor + 2)], "tickmark invalid"))
    all_ms = np.concatenate([launch.elapsed_ms for launch in launches])
    beyond = float((all_ms > scale.high * median).mean())
    bad = sum(not launch.valid for launch in launches)
    first = numbers.times(entry.record.median_ms, " ms").partition(" [")[0] if entry.drawable else "not valid"
    second = f"{len(launches) - bad} valid, {bad} not" if bad else f"{len(launches)} launches"
    title = (
        f"{entry.name}, {entry.place}: {len(launches)} launches, {bad} of them not valid, {len(all_ms)} samples, "
        f"{100 * beyond:.2g} % beyond the scale; run {entry.record.id}"
    )
    return svg.linked(
        entry.key, title,
        svg.element("rect", x=0.0, y=top, width=float(width), height=float(_ROW), class_="hit"),
        svg.line(scale.start, floor, scale.end, floor, "base"), *curves, *ticks,
        svg.label(2, floor - 8, axes.shortened(entry.operator, 16 if narrow else 26), "name"),
        svg.label(2, floor + 6, entry.record.artifact.precision, "tick"),
        svg.label(width - 2, floor - 8, first, "value", "end"), svg.label(width - 2, floor + 6, second, "tick", "end"),
        class_=f"mark s{entry.series}",
    )  # fmt: skip


def _shares(relative: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    import numpy as np

    counts, _ = np.histogram(relative, edges)
    return counts / max(len(relative), 1)


def _outline(
    share: npt.NDArray[np.float64], edges: npt.NDArray[np.float64], scale: Log, floor: float, highest: float
) -> list[tuple[float, float]]:
    """The steps from the first that has samples to the last, down to the base line at both ends."""
    import numpy as np

    seen = np.flatnonzero(share)
    if not len(seen):
        return []
    bins = range(int(seen[0]), int(seen[-1]) + 1)
    heights = {at: floor - _CURVE * float(share[at]) / highest for at in bins}
    points = [(scale(float(edge)), heights[at]) for at in bins for edge in (edges[at], edges[at + 1])]
    return [(points[0][0], floor), *points, (points[-1][0], floor)]
