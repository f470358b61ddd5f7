"""How far apart two groups lie, whatever their scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Magnitude = Literal["negligible", "small", "medium", "large"]
#: J. Romano and others, "Appropriate statistics for ordinal level data" (Florida Association of Institutional Research, 2006):
#: a |delta| below each is of that magnitude, from the last one on it is large
THRESHOLDS: tuple[tuple[float, Magnitude], ...] = ((0.147, "negligible"), (0.33, "small"), (0.474, "medium"))


@dataclass(frozen=True)
class Effect:
    """delta: -1..1, the share of pairs where the first is larger less the share where it is smaller."""

    delta: float

    @property
    def magnitude(self) -> Magnitude:
        return next((name for bound, name in THRESHOLDS if abs(self.delta) < bound), "large")


def cliffs_delta(one: Sequence[float], other: Sequence[float]) -> Effect:
    """Cliff's delta of `one` over `other` (N. Cliff, "Dominance statistics", Psychological Bulletin, 1993): ordinal, so
    late samples do not move it. Raises ValueError where a group is empty."""
    import numpy as np

    if not one or not other:
        raise ValueError("Cliff's delta of an empty group")
    ordered = np.sort(np.asarray(other, dtype=np.float64))
    values = np.asarray(one, dtype=np.float64)
    # by sorting, not pair by pair: two runs may have a million samples each
    below = np.searchsorted(ordered, values, side="left").sum(dtype=np.int64)
    above = (len(ordered) - np.searchsorted(ordered, values, side="right")).sum(dtype=np.int64)
    return Effect(float(below - above) / (len(values) * len(ordered)))
