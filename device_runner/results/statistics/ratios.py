"""How many times as long one artifact takes as another, with an interval over launches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from device_runner.results.statistics.intervals import MIN_LAUNCHES, interval_of_logs, t_quantile
from edgedeploy.record import Interval


def ratio(numerator: Mapping[int, float], denominator: Mapping[int, float]) -> Interval | None:
    """The ratio of two artifacts' times, from block -> median of the launch in that block.

    Paired by block: launches that ran side by side share what the device was doing, which the difference of logarithms
    takes out; a block where only one of them has a valid launch says nothing. None when no block has both. Blocks run in
    alternating order (ABBA), so that a steady drift adds to one difference what it takes from the next.
    """
    shared = sorted(set(numerator) & set(denominator))
    logs = [math.log(numerator[block]) - math.log(denominator[block]) for block in shared]
    return interval_of_logs(logs, "geometric mean of the ratios within a block")


def unpaired_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Interval | None:
    """The ratio of two artifacts' times from launches that did not run side by side; None where one has none.

    B. L. Welch, "The generalization of Student's problem when several different population variances are involved"
    (Biometrika, 1947): the two may scatter differently. `launches` is the lesser number of the two.
    """
    logs = [[math.log(value) for value in values if value > 0] for values in (numerator, denominator)]
    counts = [len(each) for each in logs]
    if not all(counts):
        return None
    means = [math.fsum(each) / len(each) for each in logs]
    difference, method = means[0] - means[1], "ratio of the geometric means"
    if min(counts) < MIN_LAUNCHES:
        method = f"{method}; no interval from under {MIN_LAUNCHES} launches"
        return Interval(estimate=math.exp(difference), launches=min(counts), method=method)
    shares = [
        math.fsum((value - mean) ** 2 for value in each) / (n - 1) / n
        for each, mean, n in zip(logs, means, counts, strict=True)
    ]
    spread = sum(shares)
    degrees = spread**2 / sum(share**2 / (n - 1) for share, n in zip(shares, counts, strict=True)) if spread else 1.0
    half = t_quantile(degrees) * math.sqrt(spread)
    return Interval(
        estimate=math.exp(difference), low=math.exp(difference - half), high=math.exp(difference + half),
        launches=min(counts), method=f"{method}, Welch's 95 % t interval on logarithms",
    )  # fmt: skip
