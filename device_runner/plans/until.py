"""`--until 1%`: launches are added until the interval of the median is that narrow.

To look after every launch and stop at the first interval that is narrow enough stops too often where the spread happened to
come out small, and such an interval holds the truth less often than it says. Two things make up for it, both chosen by
simulation (scripts/bench_until, docs/measurements.md): no look before MIN_LAUNCHES, and intervals wider by WIDER, of which the
wide one is judged and the wide one is reported.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from device_runner.results.statistics import estimate
from edgedeploy.record import Interval, Launch, Plan

#: launches before the first look
MIN_LAUNCHES = 10
#: factor on the half width of the logarithms' 95 % t interval
WIDER = 1.08
#: launches of an artifact at most, where --launches says no other number
MOST_LAUNCHES = 500


def widened(interval: Interval | None) -> Interval | None:
    """The interval that holds what it says although it decided when to stop."""
    if interval is None or interval.low is None or interval.high is None:
        return interval
    half = WIDER * math.log(interval.high / interval.low) / 2
    return interval.model_copy(
        update={
            "low": interval.estimate * math.exp(-half), "high": interval.estimate * math.exp(half),
            "method": f"{interval.method}, wider by {100 * (WIDER - 1):.0f} % for having been looked at after each launch",
        }
    )  # fmt: skip


def half_width(medians: Sequence[float]) -> float | None:
    """Half the relative width of the median's widened interval, 0.01 for ±1 %; None before the first look."""
    found = widened(estimate(list(medians), "")) if len(medians) >= MIN_LAUNCHES else None
    if found is None or found.low is None or found.high is None:
        return None
    return math.sqrt(found.high / found.low) - 1


def stopped_at(medians: Sequence[float], target: float) -> int | None:
    """After how many launches the looks ended; None when they go on. Of the launches alone, so that a resume finds the same."""
    for count in range(MIN_LAUNCHES, len(medians) + 1):
        width = half_width(medians[:count])
        if width is not None and width <= target:
            return count
    return None


def medians_of(launches: Sequence[Launch]) -> list[float]:
    """The medians of the launches that count, in their order."""
    return [launch.steady_median_ns for launch in launches if launch.valid and launch.steady_median_ns]


def reached(plan: Plan, launches: Sequence[Launch]) -> bool:
    """Whether a run needs no more launches."""
    return plan.until is not None and stopped_at(medians_of(launches), plan.until) is not None


def spent_sec(launches: Sequence[Launch]) -> float:
    """Device time of these launches."""
    return math.fsum(launch.took_sec or 0.0 for launch in launches)
