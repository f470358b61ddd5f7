"""Where the time of an inference goes: for each run that was profiled, a bar for each kind of operator."""

from __future__ import annotations

from collections.abc import Sequence

from device_runner.results import profile_table
from device_runner.results.report import axes, svg
from device_runner.results.report.gather import Entry
from device_runner.results.report.scales import Linear
from edgedeploy.record import OperatorGroup, Profile

#: kinds of one run that have a bar of their own
_KINDS = 4
_ROW, _HEAD = 20, 28


def rows_of(entries: Sequence[Entry]) -> list[Entry]:
    """Those with a profile, as they are in the report."""
    return [entry for entry in entries if entry.record.valid and profile_of(entry) is not None]


def profile_of(entry: Entry) -> Profile | None:
    """Its profile, where there is something in it."""
    profile = entry.record.profile
    return profile if profile is not None and profile.groups else None


def draw(rows: Sequence[Entry], width: int) -> str:
    """rows: from `rows_of`."""
    narrow = axes.is_narrow(width)
    left, right = (128.0, 62.0) if narrow else (230.0, 250.0)
    bars = {entry.key: _bars(entry) for entry in rows}
    height = 10 + sum(_HEAD + _ROW * len(each) for each in bars.values()) + 48
    floor = height - 44
    most = max(share for each in bars.values() for _, share, _, _ in each)
    x = Linear(0, 100 * most, left, width - right)
    parts = [axes.bottom(x, floor, 8, "% of the time of all operators", 3 if narrow else 8)]
    y = 10.0
    for entry in rows:
        y += _HEAD
        parts.append(svg.label(2, y - 9, axes.shortened(f"{entry.name} · {entry.place}", 44 if narrow else 90), "head"))
        parts += [_line(entry, bar, x, y + _ROW * at, width, narrow) for at, bar in enumerate(bars[entry.key])]
        y += _ROW * len(bars[entry.key])
    return svg.drawing(width, height, f"where the time goes, {len(rows)} runs", *parts, class_="profile")


_Bar = tuple[str, float, str, bool]


def _bars(entry: Entry) -> list[_Bar]:
    """(kind, share 0..1, where it ran, whether most of the time is spent there) of each, the longest first; the rest as one."""
    profile = profile_of(entry)
    assert profile is not None
    groups = sorted(profile.groups, key=lambda group: -group.share)
    kept = groups if len(groups) <= _KINDS + 1 else groups[:_KINDS]
    most = profile_table.places(profile)[0][0]
    bars = [(f"{group.operators} {group.kind}", group.share, group.where, group.where == most) for group in kept]
    rest = groups[len(kept) :]
    return [*bars, (f"{len(rest)} more kinds", sum(group.share for group in rest), _places(rest), True)] if rest else bars


def _places(groups: Sequence[OperatorGroup]) -> str:
    return ", ".join(dict.fromkeys(group.where for group in groups))


def _line(entry: Entry, bar: _Bar, x: Linear, y: float, width: int, narrow: bool) -> str:
    kind, share, where, usual = bar
    shown = f"{100 * share:.1f} %"
    title = f"{entry.name}, {entry.place}: {kind}, {shown} on {where}; run {entry.record.id}"
    drawn = svg.element(
        "rect", x=x(0), y=y + 3, width=max(1.0, x(100 * share) - x(0)), height=float(_ROW - 7),
        class_="solid" if usual else "hollow",
    )  # fmt: skip
    place = shown if narrow else f"{shown} on {axes.shortened(where, 30)}"
    return svg.linked(
        entry.key, title,
        svg.label(12, y + 14, axes.shortened(kind, 17 if narrow else 32), "name"),
        drawn,
        svg.label(width - (2 if narrow else 244), y + 14, place, "value", "end" if narrow else "start"),
        class_=f"mark s{entry.series}",
    )  # fmt: skip
