"""How many times as long one artifact takes as another, with an interval over launches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from device_runner.results.statistics.intervals import MIN_LAUNCHES, interval_of_logs, mean_of, order_of, t_quantile
from edgedeploy.record import Interval


def ratio(
    numerator: Mapping[int, float], denominator: Mapping[int, float], apart: Mapping[int, float] | None = None
) -> Interval | None:
    """The ratio of two artifacts' times, from block -> median of the launch in that block.

    Paired by block: launches that ran side by side share what the device was doing, which the difference of logarithms
    takes out; a block where only one of them has a valid launch says nothing. None when no block has both. Blocks run in
    alternating order (ABBA), so that a steady drift adds to one difference what it takes from the next.

    apart: by block, how many places in the order of the experiment the numerator's launch came after the denominator's; what a
    steady drift adds is in proportion to it, and is taken out of the scatter from enough launches on.
    """
    shared = sorted(set(numerator) & set(denominator))
    logs = [math.log(numerator[block]) - math.log(denominator[block]) for block in shared]
    along = None if apart is None else [apart[block] for block in shared]
    return interval_of_logs(logs, "geometric mean of the ratios within a block", along)


def unpaired_ratio(numerator: Sequence[float], denominator: Sequence[float], *, ordered: bool = True) -> Interval | None:
    """The ratio of two artifacts' times from launches that did not run side by side; None where one has none.

    B. L. Welch, "The generalization of Student's problem when several different population variances are involved"
    (Biometrika, 1947): the two may scatter differently. `launches` is the lesser number of the two. ordered: whether the
    launches of each are in the order they were started, so that a drift within each can be taken out.
    """
    logs = [[math.log(value) for value in values if value > 0] for values in (numerator, denominator)]
    counts = [len(each) for each in logs]
    if not all(counts):
        return None
    method = "ratio of the geometric means"
    if min(counts) < MIN_LAUNCHES:
        method = f"{method}; no interval from under {MIN_LAUNCHES} launches"
        means = [math.fsum(each) / len(each) for each in logs]
        return Interval(estimate=math.exp(means[0] - means[1]), launches=min(counts), method=method)
    (first, one, free), (second, other, free_too) = (mean_of(each, order_of(len(each)) if ordered else None) for each in logs)
    difference, spread = first - second, one + other
    degrees = spread**2 / (one**2 / free + other**2 / free_too) if spread else 1.0
    half = t_quantile(degrees) * math.sqrt(spread)
    return Interval(
        estimate=math.exp(difference), low=math.exp(difference - half), high=math.exp(difference + half),
        launches=min(counts), method=f"{method}, Welch's 95 % t interval on logarithms",
    )  # fmt: skip
