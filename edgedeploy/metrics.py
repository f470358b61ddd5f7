"""Accuracy and its intervals. Counts only, no arrays of the model's: small enough for a host that never exports."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from edgedeploy.artifact import Accuracy, Drop

#: 97.5 % quantile of the normal distribution
Z95 = 1.959963984540054


def top1(logits: npt.NDArray[Any], labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which examples are right. logits [n, classes], labels [n] -> bool [n]. A row with a NaN is wrong."""
    right: npt.NDArray[np.bool_] = (np.argmax(logits, axis=1) == labels) & np.isfinite(logits).all(axis=1)
    return right


def wilson(right: int, n: int) -> tuple[float, float]:
    """95 % score interval of a proportion (Wilson 1927)."""
    if n < 1 or not 0 <= right <= n:
        raise ValueError(f"{right} of {n} is not a proportion")
    p = right / n
    centre = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n * n)) / (1 + Z95**2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def accuracy(right: npt.NDArray[np.bool_], metric: str = "top1") -> Accuracy:
    """Accuracy with its 95 % interval from per-example correctness, bool [n]."""
    n, k = len(right), int(right.sum())
    low, high = wilson(k, n)
    return Accuracy(metric=metric, value=k / n, low=low, high=high, n=n)


def mcnemar(lost: int, won: int) -> float:
    """Two-sided p-value of McNemar's test, exact (binomial): are `lost` and `won` discordant pairs equally likely?

    Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12 (1947). 1 where no pair is discordant.
    """
    n, k = lost + won, min(lost, won)
    if n < 1:
        return 1.0
    # in logarithms: 2^-n is 0 in floating point from n = 1075 on
    tail = math.fsum(
        math.exp(math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) - n * math.log(2)) for i in range(k + 1)
    )
    return min(1.0, 2 * tail)


def paired_drop(reference: npt.NDArray[np.bool_], candidate: npt.NDArray[np.bool_], against: str | None) -> Drop:
    """Points of accuracy lost by `candidate` against `reference` on the same examples, bool [n] each.

    Positive is a loss. The 95 % interval is for the difference of paired proportions after Agresti & Min (2005): the
    Wald interval with half an example added to each cell, which keeps its coverage with few discordant pairs.
    """
    if len(reference) != len(candidate) or not len(reference):
        raise ValueError("paired accuracies need the same examples, at least one")
    n = len(reference)
    lost = int((reference & ~candidate).sum())
    won = int((~reference & candidate).sum())
    m = n + 2
    b, c = lost + 0.5, won + 0.5
    centre = (b - c) / m
    half = Z95 * math.sqrt(max(b + c - (b - c) ** 2 / m, 0.0)) / m
    return Drop(
        against=against, points=100 * (lost - won) / n, low=100 * (centre - half), high=100 * (centre + half),
        n=n, lost=lost, won=won, p_value=mcnemar(lost, won),
    )  # fmt: skip
