"""Samples far above the others: something else had the CPU. They are marked and stay; a median does not mind a few."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from device_runner.validity.stretches import Floats
from edgedeploy.record import Finding

#: above the upper quartile by so many times the distance between the quartiles (J. W. Tukey's "far out" is 3)
_FAR = 5.0
#: and so much above the median
_ABOVE = 0.25
#: a share of less is what any system has
MAX_SHARE = 0.02
_LEAST_SAMPLES = 20


def of(logs: Floats) -> npt.NDArray[np.bool_]:
    """Which samples are."""
    if len(logs) < _LEAST_SAMPLES:
        return np.zeros(len(logs), bool)
    low, middle, high = np.quantile(logs, [0.25, 0.5, 0.75])
    return np.asarray((logs > high + _FAR * (high - low)) & (logs > middle + math.log1p(_ABOVE)))


def found(logs: Floats, which: npt.NDArray[np.bool_]) -> Finding | None:
    """The finding, None for as few as any system has."""
    share = float(which.mean()) if len(which) else 0.0
    if share <= MAX_SHARE:
        return None
    # of a clock that stood still a record may say anything: a number is bounded before it is written
    largest = math.exp(min(50.0, float(logs.max() - np.median(logs))))
    text = (
        f"{int(which.sum())} of {len(logs)} samples are far above the others, the largest {largest:.3g} times the median; "
        "they are marked and kept"
    )
    numbers = {"samples": float(which.sum()), "share_percent": 100 * share, "largest_over_median": largest}
    return Finding(flag="outliers", text=text, numbers=numbers)
