"""Drift within a launch: Mann and Kendall's test for a trend, with its variance made larger for what neighbours share.

The medians of stretches take out what is alike from one sample to the next; what is left between neighbouring stretches is
taken into account by the correction of S. Yue and C. Wang ("The Mann-Kendall test modified by effective sample size", Water
Resources Management, 2004). The size is Theil and Sen's slope, from the first stretch to the last.
"""

from __future__ import annotations

import math

import numpy as np

from device_runner.validity import stretches
from device_runner.validity.stretches import Floats
from edgedeploy.record import Finding

_STRETCHES = 20
_LEAST_STRETCHES = 8
_LEVEL = 0.005
#: a drift of less from first to last is of no consequence
MIN_DRIFT = 0.02


def found(logs: Floats) -> Finding | None:
    """The finding of a launch, None where there is no drift to speak of."""
    return _trend(stretches.medians(logs, _STRETCHES), "drifted by {:+.1f} % from its first samples to its last")


def among_launches(medians: Floats) -> Finding | None:
    """The finding of a run, from the medians of its launches in the order they were started."""
    return _trend(np.log(medians), "its launches drifted by {:+.1f} % from the first to the last")


def _trend(levels: Floats, words: str) -> Finding | None:
    count = len(levels)
    if count < _LEAST_STRETCHES:
        return None
    first, last = np.triu_indices(count, 1)
    rises = levels[last] - levels[first]
    slope = float(np.median(rises / (last - first)))
    total = slope * (count - 1)
    if abs(total) < math.log1p(MIN_DRIFT):
        return None
    score = float(np.sign(rises).sum())
    variance = count * (count - 1) * (2 * count + 5) / 18 * stretches.shared(levels - slope * np.arange(count))
    p = math.erfc(max(0.0, abs(score) - 1) / math.sqrt(2 * variance))
    if p >= _LEVEL:
        return None
    percent = 100 * math.expm1(total)
    text = f"{words.format(percent)} (p {p:.1g})"
    return Finding(flag="drift", text=text, numbers={"drift_percent": percent, "p": p})
