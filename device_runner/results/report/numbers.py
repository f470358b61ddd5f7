"""Numbers for people, with as many digits as say something, and their intervals."""

from __future__ import annotations

import math

from edgedeploy.artifact import Accuracy, Drop
from edgedeploy.record import Interval

NOTHING = "–"
MINUS = "−"


def significant(value: float, digits: int = 3) -> str:
    """In plain decimals: 0.0821, 1.53, 146."""
    if not value or not math.isfinite(value):
        return "0" if not value else str(value)
    return f"{value:.{min(9, max(0, digits - 1 - math.floor(math.log10(abs(value)))))}f}"


def signed(value: float, decimals: int) -> str:
    """With a real minus sign; what rounds to nought has none."""
    shown = f"{abs(value):.{decimals}f}"
    return f"{MINUS}{shown}" if value < 0 and float(shown) else shown


def times(interval: Interval | None, unit: str = "", digits: int = 3) -> str:
    """1.53 ms [1.50, 1.57]; without brackets where there is no interval."""
    if interval is None:
        return NOTHING
    decimals = min(9, max(0, digits - 1 - math.floor(math.log10(interval.estimate)))) if interval.estimate > 0 else 0
    shown = f"{interval.estimate:.{decimals}f}{unit}"
    if interval.low is None or interval.high is None:
        return shown
    return f"{shown} [{interval.low:.{decimals}f}, {interval.high:.{decimals}f}]"


def ratio(interval: Interval | None) -> str:
    """3.38× [3.15, 3.62]; one decimal less from ten on."""
    if interval is None:
        return NOTHING
    decimals = 2 if interval.estimate < 10 else 1
    bounds = (
        "" if interval.low is None or interval.high is None else f" [{interval.low:.{decimals}f}, {interval.high:.{decimals}f}]"
    )
    return f"{interval.estimate:.{decimals}f}×{bounds}"


def accuracy(value: Accuracy | None) -> str:
    """In percent."""
    if value is None:
        return "not measured"
    return f"{100 * value.value:.1f} % [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def drop(value: Drop | None) -> str:
    """In points, above 0 is worse than identity."""
    if value is None:
        return NOTHING
    return f"{signed(value.points, 2)} [{signed(value.low, 2)}, {signed(value.high, 2)}]"


def p_value(value: float | None) -> str:
    """Of a test."""
    if value is None:
        return NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
