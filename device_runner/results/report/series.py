"""A run over time, its launches side by side, with the device's temperature and frequency under it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from device_runner.results.report import axes, svg
from device_runner.results.report.gather import Entry
from device_runner.results.report.samples import LaunchSamples, over_time
from device_runner.results.report.scales import Linear
from edgedeploy.record import Context, Launch

_GAP, _TIMES, _UNDER = 6.0, 150, 44


@dataclass(frozen=True)
class _Under:
    """A quantity of the device, read before and after each launch."""

    what: str
    unit: str
    read: Callable[[Context], float | None]


def hottest(context: Context) -> float | None:
    """Of all sensors, in degrees Celsius; None where none was read."""
    return max(context.temperatures_c.values()) if context.temperatures_c else None


def fastest(context: Context) -> float | None:
    """Of all cores, in GHz; None where none was read."""
    return max(context.frequencies_khz.values()) / 1e6 if context.frequencies_khz else None


_QUANTITIES = (_Under("hottest sensor", "°C", hottest), _Under("fastest core", "GHz", fastest))


def missing(entry: Entry) -> list[str]:
    """What the device did not say at any launch, in words."""
    return [f"{each.what} ({each.unit})" for each in _QUANTITIES if not _read(entry, each)]


def _read(entry: Entry, what: _Under) -> dict[int, tuple[float | None, float | None]]:
    """By launch: before and after; only launches where at least one was read."""
    found = {}
    for launch in entry.record.launches:
        values = tuple(None if context is None else what.read(context) for context in (launch.before, launch.after))
        if any(value is not None for value in values):
            found[launch.index] = (values[0], values[1])
    return found


def draw(entry: Entry, launches: Sequence[LaunchSamples], width: int) -> str:
    """launches: those with samples, at least one."""
    narrow = axes.is_narrow(width)
    left, right, top = (52.0, 8.0, 24.0) if narrow else (64.0, 16.0, 24.0)
    under = [each for each in _QUANTITIES if _read(entry, each)]
    floor = top + _TIMES
    height = floor + len(under) * (_UNDER + 22) + 44
    places = _places(launches, left, width - right)
    points = [over_time(launch) for launch in launches]
    y = _scale([p.median_ms for each in points for p in each], [p.high_ms for each in points for p in each], floor, top)
    parts = [axes.left(y, left, width - right, 5), svg.label(2, 12, "time of an inference, ms", "title")]
    for launch, (start, end), each in zip(launches, places, points, strict=True):
        x = Linear(0, float(launch.start_sec[-1]) or 1, start, end)
        kind = "" if launch.valid else " invalid"
        upper = [(x(p.at_sec), y(p.high_ms)) for p in each]
        lower = [(x(p.at_sec), y(p.low_ms)) for p in reversed(each)]
        parts.append(svg.polygon(upper + lower, f"range{kind}"))
        parts.append(svg.polyline([(x(p.at_sec), y(p.median_ms)) for p in each], f"course{kind}"))
        parts.append(svg.line(start, floor, end, floor, "axis"))
        room, long = end - start, f"launch {launch.index}"
        name = long if room > len(long) * axes.CHARACTER else str(launch.index) if room > 16 else ""
        parts.append(svg.label((start + end) / 2, floor + 14, f"{name}{'' if launch.valid else ' ×'}", "tick", "middle"))
    by_index = {launch.index: launch for launch in entry.record.launches}
    y0 = floor + 22
    for what in under:
        parts.append(
            _strip(
                what, entry, [(by_index[s.index], p) for s, p in zip(launches, places, strict=True)], y0, left, width - right
            )
        )
        y0 += _UNDER + 22
    total = sum(float(launch.start_sec[-1]) for launch in launches)
    axis = f"{len(launches)} launch{'es' if len(launches) != 1 else ''}, {total:.3g} s of timed inferences in all"
    parts.append(svg.label((left + width - right) / 2, height - 12, axis, "title", "middle"))
    said = f"{entry.name} over time, {len(launches)} launches"
    return svg.drawing(width, height, said, svg.element("g", None, *parts, class_=f"s{entry.series}"), class_="series")


def _places(launches: Sequence[LaunchSamples], start: float, end: float) -> list[tuple[float, float]]:
    """Each launch its share of the width by how long it took; the time between launches is not drawn."""
    seconds = [max(float(launch.start_sec[-1]), 1e-9) for launch in launches]
    room = end - start - _GAP * (len(launches) - 1)
    found, at = [], start
    for each in seconds:
        wide = room * each / sum(seconds)
        found.append((at, at + wide))
        at += wide + _GAP
    return found


def _scale(medians: list[float], highest: list[float], floor: float, top: float) -> Linear:
    # one hiccup of fifty times the median would flatten all else: past half as much again it is drawn to the edge
    most = min(max(highest), 1.5 * max(medians))
    least = min(medians)
    return Linear(max(0.0, least - 0.15 * (most - least)), most, floor, top)


def _strip(
    what: _Under, entry: Entry, launches: Sequence[tuple[Launch, tuple[float, float]]], top: float, left: float, right: float
) -> str:
    values = _read(entry, what)
    flat = [value for pair in values.values() for value in pair if value is not None]
    margin = max(0.1 * (max(flat) - min(flat)), 0.04 * max(flat), 1e-6)
    y = Linear(min(flat) - margin, max(flat) + margin, top + 18 + _UNDER, top + 18)
    parts = [svg.label(2, top + 10, f"{what.what}, {what.unit}, before and after each launch", "tick")]
    parts.append(axes.left(y, left, right, 4))
    for launch, (start, end) in launches:
        ends = zip((start, end), values.get(launch.index, (None, None)), strict=True)
        there = [(at, y(value)) for at, value in ends if value is not None]
        parts.append(svg.polyline(there, "course"))
        parts += [svg.element("circle", cx=px, cy=py, r=2.0, class_="dot") for px, py in there]
    return "".join(parts)
