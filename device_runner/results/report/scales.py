"""From a quantity to a place on the page, and where the ticks go."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Linear:
    """`low` is drawn at `start`, `high` at `end`; what lies outside goes to the nearer edge."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Round numbers within, at most `most` of them."""
        span = (self.high - self.low) or 1
        exponent = math.floor(math.log10(span)) - 1
        for step in (multiple * 10.0**power for power in range(exponent, exponent + 4) for multiple in (1, 2, 5)):
            first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
            if last - first < most:
                return [number * step for number in range(first, last + 1)]
        return [self.low, self.high]


@dataclass(frozen=True)
class Log:
    """As Linear, in ratios: the same distance is the same factor."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        inner = Linear(math.log(self.low), math.log(self.high), self.start, self.end)
        return inner(math.log(max(value, 1e-12)))

    def ticks(self, most: int) -> list[float]:
        """1, 2, 5 and their tenfolds within; finer or coarser where that suits the span better."""
        if self.high / self.low < 2.5:
            return Linear(self.low, self.high, 0, 1).ticks(most)
        power, best = math.floor(math.log10(self.low)), []
        decades = range(power - 1, math.ceil(math.log10(self.high)) + 1)
        for multiples in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)):
            found = [m * 10.0**d for d in decades for m in multiples if self.low * 0.999 <= m * 10.0**d <= self.high * 1.001]
            if len(found) > most:
                break
            best = found
        if len(best) < 2:
            best = Linear(self.low, self.high, 0, 1).ticks(most)
        return best


def padded(values: list[float], share: float = 0.06) -> tuple[float, float]:
    """The least and the largest with a margin in ratio, for a Log scale; all must be above 0."""
    low, high = min(values), max(values)
    factor = max((high / low) ** share, 1.02)
    return low / factor, high * factor
