"""Speed-ups as a forest plot: a line for each run, its interval, and where no change would be."""

from __future__ import annotations

import math
from collections.abc import Sequence

from device_runner.results.report import axes, numbers, svg
from device_runner.results.report.gather import Entry
from device_runner.results.report.scales import Log, padded

_ROW, _HEAD = 21, 26


def rows_of(entries: Sequence[Entry]) -> list[Entry]:
    """Those with a speed-up, by where they ran and the runtime, the fastest of each first."""
    there = [entry for entry in entries if entry.drawable and entry.speedup is not None and 1e-6 < entry.speedup.estimate < 1e6]
    return sorted(there, key=lambda entry: (entry.place, entry.runtime, -entry.speedup.estimate if entry.speedup else 0))


def draw(rows: Sequence[Entry], over: str, margin: float, width: int) -> str:
    """rows: from `rows_of`. over: what is 1×."""
    narrow = axes.is_narrow(width)
    left, right = (114, 118) if narrow else (190, 190)
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in rows:
        groups.setdefault((entry.place, entry.runtime), []).append(entry)
    height = 14 + _HEAD * len(groups) + _ROW * len(rows) + 50
    floor = height - 46
    x = Log(*padded([1.0, *(bound for entry in rows for bound in _bounds(entry))]), left, width - right)
    band = svg.element(
        "rect", x=x(1 / (1 + margin)), y=8.0, width=x(1 + margin) - x(1 / (1 + margin)), height=floor - 8.0, class_="margin"
    )
    title = "times as fast (log scale)" if narrow else f"times as fast as {over} (log scale; right is faster)"
    parts = [band, axes.bottom(x, floor, 8, title, 4 if narrow else 9, "×"), svg.line(x(1), 8, x(1), floor, "one")]
    y = 14.0
    for (place, runtime), members in groups.items():
        y += _HEAD
        parts.append(svg.label(2, y - 9, axes.shortened(f"{runtime} · {place}", 44 if narrow else 60), "head"))
        for entry in members:
            parts.append(_line(entry, x, y, width, narrow))
            y += _ROW
    return svg.drawing(width, height, f"speed-up over {over}, {len(rows)} runs", *parts, class_="forest")


def _bounds(entry: Entry) -> list[float]:
    found = entry.speedup
    assert found is not None
    # an interval of a few launches may reach anywhere: the scale serves the estimates, and an arrow says that it goes on
    low, high = found.low or found.estimate, found.high or found.estimate
    return [found.estimate, max(low, found.estimate / 2), min(high, found.estimate * 2)]


def _line(entry: Entry, x: Log, y: float, width: int, narrow: bool) -> str:
    found = entry.speedup
    assert found is not None
    middle, parts = y + _ROW / 2 - 2, []
    if found.low is not None and found.high is not None:
        low, high = x(max(found.low, 1e-9)), x(found.high)
        parts.append(svg.line(low, middle, high, middle, "bar thick"))
        for bound, at, way in ((found.low, low, 1), (found.high, high, -1)):
            if not math.isclose(bound, min(max(bound, x.low), x.high)):
                parts.append(svg.polyline([(at + 5 * way, middle - 4), (at, middle), (at + 5 * way, middle + 4)], "bar"))
    kind = "hollow" if entry.record.artifact.precision in ("fp32", "fp16") else "solid"
    mark = svg.marker(entry.series, x(found.estimate), middle, kind)
    title = f"{entry.name}, {entry.place}: {numbers.ratio(found)} from {found.launches} launches; run {entry.record.id}"
    shown = numbers.ratio(found)
    return svg.linked(
        entry.key, title,
        svg.label(12, middle + 4, axes.shortened(entry.operator, 15 if narrow else 26), "name"),
        *parts, mark,
        svg.label(width - 2, middle + 4, shown, "value", "end"), class_=f"mark s{entry.series}",
    )  # fmt: skip
