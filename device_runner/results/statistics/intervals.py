"""Estimates and intervals. The unit is the launch.

Samples of one process are alike: they share its memory layout, its page placement, the CPU's state when it started. Taking
them for independent makes intervals far too narrow. Kalibera & Jones, "Rigorous Benchmarking in Reasonable Time" (ISMM 2013),
repeat at the highest level that varies, which here is the launch, and summarise each launch by one number first. So do we:
a launch gives its median, and an interval is over launches.

Why a t interval and not a percentile bootstrap: resampling n launches understates their spread by sqrt((n - 1) / n) and
has normal, not t, tails, so that with few launches a nominal 95 % interval covers the truth far less often (about 75 % at
3 launches, 88 % at 10). Times are positive and skewed and their effects multiply, so it is done on logarithms: the estimate
is the geometric mean, and an interval of a ratio is one of a difference.
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


def interval_of_logs(logs: Sequence[float], method: str) -> Interval | None:
    """The interval of the mean of `logs`, one a launch, on the scale of what they are logarithms of. None of nothing."""
    n = len(logs)
    if not n:
        return None
    mean = math.fsum(logs) / n
    if n < MIN_LAUNCHES:
        return Interval(estimate=math.exp(mean), launches=n, method=f"{method}; no interval from under {MIN_LAUNCHES} launches")
    variance = math.fsum((value - mean) ** 2 for value in logs) / (n - 1)
    half = t_quantile(n - 1) * math.sqrt(variance / n)
    return Interval(
        estimate=math.exp(mean), low=math.exp(mean - half), high=math.exp(mean + half), launches=n,
        method=f"{method}, 95 % t interval on logarithms",
    )  # fmt: skip


def estimate(values: Sequence[float | None], what: str) -> Interval | None:
    """The geometric mean of one positive number per launch, with its interval. A launch with None is left out.

    None when no launch has one. `what` names the number: "median of each launch".
    """
    logs = [math.log(value) for value in values if value is not None and value > 0]
    return interval_of_logs(logs, f"geometric mean of the {what}")


def scaled(interval: Interval | None, factor: float) -> Interval | None:
    """The interval in another unit."""
    if interval is None:
        return None
    changed: dict[str, Any] = {"estimate": interval.estimate * factor}
    changed |= {key: None if (bound := getattr(interval, key)) is None else bound * factor for key in ("low", "high")}
    return interval.model_copy(update=changed)
