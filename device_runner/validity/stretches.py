"""Stretches of a launch, each summed up by its median: what is alike from one sample to the next is inside them.

Of a million samples there are a few dozen stretches, so that every test after this one costs nothing.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
#: samples a stretch has at least
LEAST = 5
#: the mean of absolute values of a normal with a standard deviation of 1
_MEAN_OF_NORMAL = math.sqrt(2 / math.pi)


def edges(count: int, most: int) -> npt.NDArray[np.int64]:
    """Where `most` stretches of `count` samples begin and end, or fewer, so that each has LEAST; nothing from too few."""
    stretches = min(most, count // LEAST)
    return np.linspace(0, count, stretches + 1).astype(np.int64) if stretches else np.zeros(0, np.int64)


def medians(logs: Floats, most: int) -> Floats:
    """The medians of the stretches, in order."""
    at = edges(len(logs), most)
    return np.array([np.median(logs[first:last]) for first, last in pairwise(at)], np.float64)


def scatter(values: Floats) -> float:
    """Standard deviation from one stretch to the next, by their differences: a trend is not in it, of a step next to nothing.

    By the mean of the differences, not their median: by a coarse clock most stretches may have the same time.
    """
    if len(values) < 2:
        return 0.0
    return float(np.abs(np.diff(values)).mean()) / _MEAN_OF_NORMAL / math.sqrt(2)


def shared(residuals: Floats) -> float:
    """How many times as many stretches it would take, were they to say as much as independent ones. At least 1."""
    centred = residuals - residuals.mean()
    power = float(centred @ centred)
    if not power:
        return 1.0
    alike = max(0.0, float(centred[1:] @ centred[:-1]) / power)
    lags = np.arange(1, len(residuals))
    return 1 + 2 * float(((1 - lags / len(residuals)) * alike**lags).sum())
