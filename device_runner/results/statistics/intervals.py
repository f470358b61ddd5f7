"""Estimates and intervals. The unit is the launch.

Samples of one process are alike: they share its memory layout, its page placement, the CPU's state when it started. Taking
them for independent makes intervals far too narrow. Kalibera & Jones, "Rigorous Benchmarking in Reasonable Time" (ISMM 2013),
repeat at the highest level that varies, which here is the launch, and summarise each launch by one number first. So do we:
a launch gives its median, and an interval is over launches.

Why a t interval and not a percentile bootstrap: resampling n launches understates their spread by sqrt((n - 1) / n) and
has normal, not t, tails, so that with few launches a nominal 95 % interval covers the truth far less often (about 75 % at
3 launches, 88 % at 10). Times are positive and skewed and their effects multiply, so it is done on logarithms: the estimate
is the geometric mean, and an interval of a ratio is one of a difference.

A device that drifts makes its launches differ, and an interval that takes the drift for scatter is far too wide. So from
DRIFT_FROM launches on a straight line over their order is fitted with the mean and its slope taken out of the scatter, whether
or not there is one: to look first and then choose would make intervals that hold less than they say. It costs one degree of
freedom: nothing to speak of at ten launches, 15 % of the width at five, where it is not done (scripts/bench_statistics).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from edgedeploy.record import Interval

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: an interval from fewer launches would be so wide, or so lucky, that none is given
MIN_LAUNCHES = 3
#: samples a quantile needs before it is more than the largest few
MIN_SAMPLES = {0.5: 1, 0.9: 20, 0.99: 1000}
#: launches from which on a drift is told from scatter
DRIFT_FROM = 8
CONFIDENCE = 0.95


@lru_cache(maxsize=256)
def t_quantile(degrees: float) -> float:
    """97.5 % quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 1 - (1 - CONFIDENCE) / 2))


def quantile(samples: npt.NDArray[np.generic], q: float) -> float | None:
    """The q-quantile of a launch's samples; None for one that so few samples cannot tell (see MIN_SAMPLES)."""
    import numpy as np

    needed = min((count for at, count in MIN_SAMPLES.items() if at >= q), default=MIN_SAMPLES[0.99])
    return float(np.quantile(samples.astype(np.float64), q)) if len(samples) >= needed else None


def interval_of_logs(logs: Sequence[float], method: str, along: Sequence[float] | None = None) -> Interval | None:
    """The interval of the mean of `logs`, one a launch, on the scale of what they are logarithms of. None of nothing.

    along: what a drift of the device goes along, one number a launch, 0 where it adds nothing; None: nobody knows.
    """
    n = len(logs)
    if not n:
        return None
    if n < MIN_LAUNCHES:
        mean = math.fsum(logs) / n
        return Interval(estimate=math.exp(mean), launches=n, method=f"{method}; no interval from under {MIN_LAUNCHES} launches")
    mean, variance, degrees = mean_of(logs, along)
    half = t_quantile(degrees) * math.sqrt(variance)
    taken_out = ", a drift taken out" if degrees < n - 1 else ""
    return Interval(
        estimate=math.exp(mean), low=math.exp(mean - half), high=math.exp(mean + half), launches=n,
        method=f"{method}{taken_out}, 95 % t interval on logarithms",
    )  # fmt: skip


def order_of(count: int) -> list[float]:
    """What a drift goes along where the launches of one artifact are taken alone: their places, about their middle."""
    return [at - (count - 1) / 2 for at in range(count)]


def mean_of(logs: Sequence[float], along: Sequence[float] | None) -> tuple[float, float, int]:
    """(the mean, its variance, degrees of freedom) of two values or more; what goes `along` is taken out where there are
    DRIFT_FROM of them."""
    n = len(logs)
    mean = math.fsum(logs) / n
    if along is not None and n >= DRIFT_FROM:
        centre = math.fsum(along) / n
        spread = math.fsum((at - centre) ** 2 for at in along)
        # the line's value at 0 is less sure than the mean by this much: where it is half as much again, a drift costs less
        if spread and centre**2 / spread <= 0.5 / n:
            slope = math.fsum((at - centre) * (value - mean) for at, value in zip(along, logs, strict=True)) / spread
            left = [value - mean - slope * (at - centre) for at, value in zip(along, logs, strict=True)]
            variance = math.fsum(value**2 for value in left) / (n - 2) * (1 / n + centre**2 / spread)
            return mean - slope * centre, variance, n - 2
    return mean, math.fsum((value - mean) ** 2 for value in logs) / (n - 1) / n, n - 1


def estimate(values: Sequence[float | None], what: str, *, ordered: bool = True) -> Interval | None:
    """The geometric mean of one positive number per launch, with its interval. A launch with None is left out.

    None when no launch has one. `what` names the number: "median of each launch". ordered: whether the launches are in the
    order they were started; then the mean is of a device that may have drifted meanwhile.
    """
    logs = [math.log(value) for value in values if value is not None and value > 0]
    return interval_of_logs(logs, f"geometric mean of the {what}", order_of(len(logs)) if ordered else None)


def scaled(interval: Interval | None, factor: float) -> Interval | None:
    """The interval in another unit."""
    if interval is None:
        return None
    changed: dict[str, Any] = {"estimate": interval.estimate * factor}
    changed |= {key: None if (bound := getattr(interval, key)) is None else bound * factor for key in ("low", "high")}
    return interval.model_copy(update=changed)
