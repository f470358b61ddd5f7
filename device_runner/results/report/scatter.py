"""Accuracy against latency: every run a mark with its error bars, the front a line."""

from __future__ import annotations

from collections.abc import Sequence

from device_runner.results.report import axes, numbers, svg
from device_runner.results.report.gather import Entry
from device_runner.results.report.labels import Labels
from device_runner.results.report.scales import Linear, Log, padded


def draw(entries: Sequence[Entry], front: Sequence[str], choice: str | None, metric: str, width: int) -> str:
    """entries: of one place, all drawable. front: run ids, the fastest first. choice: the run to make stand out."""
    narrow = axes.is_narrow(width)
    metric = axes.shortened(metric, 24 if narrow else 60)
    height, left, right, top, bottom = (360, 44, 14, 30, 48) if narrow else (430, 54, 76, 30, 48)
    measured = [entry for entry in entries if entry.record.artifact.accuracy is not None]
    bare = [entry for entry in entries if entry.record.artifact.accuracy is None]
    floor = height - bottom - (38 if bare and measured else 0)
    x = Log(*padded([bound for entry in entries for bound in _latency(entry)]), left, width - right)
    y = _accuracy_scale(measured, floor, top)
    title = (
        "median of an inference, ms (log scale)" if narrow else "median time of an inference, ms (log scale; left is faster)"
    )
    parts = [axes.bottom(x, height - bottom, top, title, 5 if narrow else 9)]
    if measured:
        parts += [axes.left(y, left, width - right, 6), svg.label(4, 16, f"{metric}, % (up is better)", "title")]
    if bare:
        at = floor + 14 if measured else top + 14
        parts += [svg.line(left, floor, width - right, floor, "grid"), svg.label(left + 4, at, "accuracy not measured", "note")]
    by_id = {entry.record.id: entry for entry in measured}
    steps = _steps([by_id[run] for run in front if run in by_id], x, y, width - right, floor)
    parts += [svg.polyline(steps, "front")] if len(steps) > 1 else []
    placed = Labels(left, width - (2 if narrow else 4), top - 14, height - bottom)
    bars, marks, names = [], [], []
    places = [(e, x(_median(e)), y(100 * _accuracy(e))) for e in measured]
    places += [(e, x(_median(e)), height - bottom - 12.0 if measured else (top + height - bottom) / 2) for e in bare]
    for _, px, py in places:
        placed.block(px, py, svg.RADIUS + 1)
    # the ones that matter are named first, while there is room
    order = {choice or "": -2} | {run: -1 for run in front if run != choice}
    for entry, px, py in sorted(
        places, key=lambda place: (order.get(place[0].record.id, place[0].operator != "identity"), place[1])
    ):
        run, bars_of = entry.record.id, _bars(entry, x, y, px, py)
        kind = "hollow" if entry.record.artifact.precision in ("fp32", "fp16") else "solid"
        ring = svg.element("circle", cx=px, cy=py, r=10.5, class_="chosen") if run == choice else ""
        bars.append(f'<g class="s{entry.series}">{bars_of}</g>')
        mark = svg.marker(entry.series, px, py, kind)
        marks.append(svg.linked(entry.key, describe(entry), ring, mark, class_=f"mark s{entry.series}"))
        prominent = run == choice or run in front
        weight = "name strong" if run == choice else "name" if prominent else "name faint"
        names.append(placed.place(entry.operator, px, py, 13 if run == choice else 9, weight))
    said = f"{metric} against latency, {len(entries)} runs"
    return svg.drawing(width, height, said, *parts, *bars, *names, *marks, class_="scatter")


def describe(entry: Entry) -> str:
    """A mark in full, for its title: what it is, both intervals, where from."""
    artifact = entry.record.artifact
    return (
        f"{entry.name}, {entry.place}: median {numbers.times(entry.record.median_ms, ' ms')}, "
        f"accuracy {numbers.accuracy(artifact.accuracy)}; run {entry.record.id}, artifact {artifact.digest[:12]}"
    )


def _median(entry: Entry) -> float:
    assert entry.record.median_ms is not None
    return entry.record.median_ms.estimate


def _accuracy(entry: Entry) -> float:
    assert entry.record.artifact.accuracy is not None
    return entry.record.artifact.accuracy.value


def _latency(entry: Entry) -> list[float]:
    """What the scale must reach: the interval, as far as a factor of 1.5; one of few launches can be absurdly wide."""
    median = entry.record.median_ms
    assert median is not None
    low, high = median.low or median.estimate, median.high or median.estimate
    return [median.estimate, max(low, median.estimate / 1.5), min(high, median.estimate * 1.5)]


def _accuracy_scale(measured: Sequence[Entry], floor: float, top: float) -> Linear:
    bounds = [100 * value for entry in measured if (a := entry.record.artifact.accuracy) for value in (a.low, a.high)]
    if not bounds:
        return Linear(0, 100, floor, top)
    margin = max(0.06 * (max(bounds) - min(bounds)), 0.2)
    return Linear(max(0.0, min(bounds) - margin), min(100.0, max(bounds) + margin), floor, top)


def _bars(entry: Entry, x: Log, y: Linear, px: float, py: float) -> str:
    parts, median, accuracy = [], entry.record.median_ms, entry.record.artifact.accuracy
    if median is not None and median.low is not None and median.high is not None:
        parts.append(svg.line(x(median.low), py, x(median.high), py, "bar"))
    if accuracy is not None:
        parts.append(svg.line(px, y(100 * accuracy.low), px, y(100 * accuracy.high), "bar"))
    return "".join(parts)


def _steps(front: Sequence[Entry], x: Log, y: Linear, right: float, floor: float) -> list[tuple[float, float]]:
    """The front as stairs: what is below and to the right of it is both slower and less accurate than something."""
    points: list[tuple[float, float]] = []
    for entry in front:
        px, py = x(_median(entry)), y(100 * _accuracy(entry))
        points += [(px, points[-1][1] if points else floor), (px, py)]
    return [*points, (right, points[-1][1])] if points else []
