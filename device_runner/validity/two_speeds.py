"""Two speeds: within a launch (a core that is shared now and then), and among the launches of a run.

Within a launch there are many samples: the best split in two (N. Otsu's criterion, 1979) is a real one when next to nothing
lies half-way between the two middles. Among launches there are few: the widest gap must be many times what launches scatter
on its sides. Three launches that happen to be of one speed look like a device with one: no test can tell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from device_runner.validity.stretches import Floats
from edgedeploy.record import Finding

#: speeds nearer than this are one
MIN_GAP = 0.05
#: nor are those that the device's clock may not tell apart: the coarsest of phones ticks every 52 ns
_MIN_GAP_NS = 210.0
_MIN_SHARE = 0.1
_LEAST_SAMPLES = 100
#: beyond these quantiles a sample counts as one at them, so that a few very late ones are not taken for a speed
_FROM, _TO = 0.02, 0.92
#: half-way between the middles there is at most this share of what is at the lesser of them
_VALLEY = 0.35
#: by number of launches: the widest gap over the standard deviation beside it, where both sides have two launches or more, and
#: where one launch is alone; what one run in a hundred exceeds whose launches have heavy tails (t with 3 degrees of freedom)
_TWO = {4: 16.0, 5: 10.0, 6: 7.5, 8: 5.0, 10: 4.1, 15: 3.3}
_ALONE = {3: 240.0, 4: 33.0, 5: 18.0, 6: 13.5, 8: 11.0}


def in_launch(logs: Floats) -> Finding | None:
    """The finding for the samples of one launch, logarithms of ns in any order; None where there is one speed."""
    count = len(logs)
    if count < _LEAST_SAMPLES:
        return None
    ordered = np.sort(logs)
    split = _split(np.clip(ordered, ordered[int(_FROM * count)], ordered[int(_TO * count)]))
    middles = float(np.median(ordered[:split])), float(np.median(ordered[split:]))
    gap = middles[1] - middles[0]
    if gap < math.log1p(MIN_GAP) or math.exp(min(middles[0], 50.0)) * math.expm1(min(gap, 50.0)) < _MIN_GAP_NS:
        return None
    half = gap / 8
    if float(ordered[split]) - middles[0] < 2 * half:
        # the lesser group reaches into the other: it was made up to its least size with samples of that one
        return None

    def near(place: float) -> int:
        return int(np.searchsorted(ordered, place + half, "right") - np.searchsorted(ordered, place - half, "left"))

    peaks = min(near(middles[0]), near(middles[1]))
    if peaks < 5 or near((middles[0] + middles[1]) / 2) > _VALLEY * peaks:
        return None
    percent, slow = 100 * math.expm1(min(gap, 50.0)), 100 * (1 - split / count)
    text = f"two speeds, {percent:.1f} % apart: {slow:.0f} % of its samples have the slower one"
    return Finding(flag="two-speeds", text=text, numbers={"apart_percent": percent, "slow_share_percent": slow})


def _split(ordered: Floats) -> int:
    """How many of the ordered values are in the lower of the two groups that differ most, each of MIN_SHARE at least."""
    count = len(ordered)
    # about their mean: sums of squares of numbers that are alike would leave nothing of the differences
    sums = np.cumsum(ordered - ordered.mean())[:-1]
    below = np.arange(1, count)
    between = sums**2 / (below * (count - below))
    least, most = max(1, math.ceil(_MIN_SHARE * count)), count - math.ceil(_MIN_SHARE * count)
    return least + int(between[least - 1 : most].argmax())


def among_launches(medians: Sequence[float]) -> Finding | None:
    """The finding for a run, from the medians of its launches."""
    count = len(medians)
    if count < min(_ALONE):
        return None
    ordered = np.sort(np.log(np.asarray(medians, np.float64)))
    gaps = np.diff(ordered)
    at = int(gaps.argmax()) + 1
    gap, sides = float(gaps[at - 1]), (ordered[:at], ordered[at:])
    spread = math.sqrt(sum(float(((side - side.mean()) ** 2).sum()) for side in sides) / (count - 2))
    slow = len(sides[1])
    alone = 1 in (slow, count - slow)
    needed = _ALONE if alone else _TWO
    if gap < math.log1p(MIN_GAP) or gap < needed[max(number for number in needed if number <= count)] * spread:
        return None
    apart = 100 * math.expm1(min(50.0, float(sides[1].mean() - sides[0].mean())))
    numbers = {"apart_percent": apart, "slow_launches": float(slow), "launches": float(count)}
    if not alone:
        text = f"its launches have two speeds, {apart:.1f} % apart: {slow} of {count} the slower; their median is of neither"
        return Finding(flag="two-speeds", text=text, numbers=numbers)
    text = f"one launch of {count} takes {apart:.1f} % longer than the others"
    if slow != 1:
        text = f"all launches but one of {count} take {apart:.1f} % longer than that one"
    return Finding(flag="apart", text=text, numbers=numbers)
