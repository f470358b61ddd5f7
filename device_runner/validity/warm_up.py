"""Where the warm-up ended: by a change-point test on the timed samples, since the length of the warm-up phase is only a guess.

CUSUM of the medians of stretches (E. S. Page, "Continuous inspection schemes", Biometrika, 1954): with no change its largest
excursion over the standard deviation and the root of their number is that of a Brownian bridge. A step down is taken off the
front, and what is left is tested again, since a warm-up may have several. It was one only where what is left is level: a launch
that becomes slower again wanders, and to leave out its slow beginning would be to choose (E. Barrett and others, "Virtual
machine warmup blows hot and cold", OOPSLA 2017, have such launches as those without a steady state).
"""

from __future__ import annotations

import math

import numpy as np

from device_runner.validity import stretches
from device_runner.validity.stretches import Floats
from edgedeploy.record import Finding

_STRETCHES = 40
#: fewer tell nothing of where one level ends
_LEAST_STRETCHES = 10
#: largest excursion, by simulation (scripts/bench_validity); a Brownian bridge exceeds 1.95 once in a thousand
_CRITICAL = 1.95
#: of few stretches the scatter is uncertain: this much more is asked, over their number
_FEW = 8.0
#: of the timed samples one in so many may be warm-up still: later, it was more likely something else that ran
_LONGEST = 3
#: a step of less is of no consequence
MIN_STEP = 0.02


def unsettled(logs: Floats) -> tuple[int, Finding | None]:
    """How many of the first samples were warm-up still, with the finding; 0 and None where none were."""
    levels = stretches.medians(logs, _STRETCHES)
    count = len(levels)
    if count < _LEAST_STRETCHES:
        return 0, None
    noise = max(stretches.scatter(levels), 1e-6)
    cut = 0
    while (change := _change(levels[cut:], noise)) is not None:
        at, step = change
        if step > 0 or cut + at > count // _LONGEST:
            return 0, None
        cut += at
    if not cut:
        return 0, None
    samples = int(stretches.edges(len(logs), _STRETCHES)[cut])
    step = float(np.median(logs[:samples]) - np.median(logs[samples:]))
    if step < math.log1p(MIN_STEP):
        return 0, None
    percent = 100 * math.expm1(step)
    text = f"the first {samples} of {len(logs)} timed samples were {percent:.1f} % slower than the rest: warm-up still"
    return samples, Finding(flag="warm-up", text=text, numbers={"samples": float(samples), "slower_percent": percent})


def _change(levels: Floats, noise: float) -> tuple[int, float] | None:
    """(how many stretches are before it, the step in logarithms) of the clearest change of level; None where there is none."""
    count = len(levels)
    if count < _LEAST_STRETCHES // 2:
        return None
    excursion = np.cumsum(levels - levels.mean())[:-1]
    at = int(np.abs(excursion).argmax())
    before, after = levels[: at + 1], levels[at + 1 :]
    step = float(np.median(after) - np.median(before))
    if abs(step) < math.log1p(MIN_STEP):
        return None
    # what neighbours share beside the step is no new evidence of it
    shared = stretches.shared(np.concatenate([before - before.mean(), after - after.mean()]))
    statistic = abs(float(excursion[at])) / noise / math.sqrt(count * shared)
    return (at + 1, step) if statistic >= _CRITICAL * (1 + _FEW / count) else None
