"""Axes with few lines: a tick where the eye needs one, the quantity and its unit said once."""

from __future__ import annotations

from device_runner.results.report import svg
from device_runner.results.report.numbers import significant
from device_runner.results.report.scales import Linear, Log
from edgedeploy.terminal import clean

#: the width of a figure on a desk and on a phone; each is drawn for its own
WIDE, NARROW = 920, 350
#: how wide a character of the figures' 12 px text is, to tell whether labels meet
CHARACTER = 6.6


def is_narrow(width: int) -> bool:
    return width < 600


def tick_text(value: float) -> str:
    """As short as it is exact: 0.1, 1.5, 20."""
    shown = f"{value:.6g}"
    return shown if "e" not in shown else significant(value, 2)


def bottom(scale: Linear | Log, y: float, top: float, title: str, most: int, suffix: str = "") -> str:
    """Ticks below y with a faint line up to `top`, and the title under them."""
    parts = []
    for tick in scale.ticks(most):
        x = scale(tick)
        parts += [svg.line(x, top, x, y, "grid"), svg.label(x, y + 16, f"{tick_text(tick)}{suffix}", "tick", "middle")]
    middle = (scale.start + scale.end) / 2
    return "".join(
        [*parts, svg.line(scale.start, y, scale.end, y, "axis"), svg.label(middle, y + 36, title, "title", "middle")]
    )


def left(scale: Linear | Log, x: float, right: float, most: int, suffix: str = "") -> str:
    """Ticks left of x with a faint line to `right`."""
    parts = []
    for tick in scale.ticks(most):
        y = scale(tick)
        parts += [svg.line(x, y, right, y, "grid"), svg.label(x - 7, y + 4, f"{tick_text(tick)}{suffix}", "tick", "end")]
    return "".join(parts)


def shortened(text: str, characters: int) -> str:
    """`text`, cut where it would run into the plot: as it is shown, for what is made visible in it takes room."""
    shown = clean(text)
    return shown if len(shown) <= characters else shown[: max(1, characters - 1)] + "…"
