"""Whether several groups differ, and which: by ranks, so that no late sample and no shape of a distribution decides.

Conover's test is here and not from scikit-posthocs because that brings pandas, statsmodels, seaborn and matplotlib, some 230 MB
on a host that only measures; the tests hold it against scikit-posthocs's numbers and against the formula written out in R.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def kruskal_wallis(groups: Sequence[Sequence[float]]) -> tuple[float, float]:
    """(H, p), corrected for ties, p by the chi-squared approximation. (0, 1) where all values are the same.

    W. H. Kruskal and W. A. Wallis, "Use of ranks in one-criterion variance analysis" (JASA, 1952). Raises ValueError for
    under two groups or an empty one.
    """
    _check(groups)
    first = groups[0][0]
    if all(value == first for group in groups for value in group):
        return 0.0, 1.0
    from scipy import stats

    found = stats.kruskal(*groups)
    return float(found.statistic), float(found.pvalue)


def conover(groups: Sequence[Sequence[float]]) -> dict[tuple[int, int], float]:
    """(i, j) with i < j -> two-sided p of Conover's test of that pair, adjusted by Holm over all pairs.

    W. J. Conover, "Practical Nonparametric Statistics" (3rd edition, 1999), 5.2: t tests on the ranks with what variance the
    group means leave, after Kruskal-Wallis and only where that found a difference. Raises ValueError as `kruskal_wallis` does.
    """
    import numpy as np
    from scipy import special, stats

    h, _ = kruskal_wallis(groups)
    counts = [len(group) for group in groups]
    n, k = sum(counts), len(groups)
    pairs = [(i, j) for i in range(k) for j in range(i + 1, k)]
    ranks = np.split(
        stats.rankdata(np.concatenate([np.asarray(group, dtype=np.float64) for group in groups])), np.cumsum(counts)[:-1]
    )
    means = [float(each.mean()) for each in ranks]
    total = float(sum((each**2).sum() for each in ranks))
    spread = (total - n * (n + 1) ** 2 / 4) / (n - 1)
    if n == k or spread == 0:
        # one value a group leaves nothing to tell noise by; values that are all the same differ nowhere
        return dict.fromkeys(pairs, 1.0)
    left = max(0.0, spread * (n - 1 - h) / (n - k))
    found = []
    for i, j in pairs:
        error, apart = math.sqrt(left * (1 / counts[i] + 1 / counts[j])), abs(means[i] - means[j])
        if error == 0:
            found.append(1.0 if apart == 0 else 0.0)
        else:
            found.append(float(2 * special.stdtr(n - k, -apart / error)))
    return dict(zip(pairs, holm(found), strict=True))


def holm(p_values: Sequence[float]) -> list[float]:
    """S. Holm, "A simple sequentially rejective multiple test procedure" (Scandinavian Journal of Statistics, 1979): p-values
    that may each be held against the level, in the order given."""
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, at in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[at]))
        adjusted[at] = largest
    return adjusted


def _check(groups: Sequence[Sequence[float]]) -> None:
    if len(groups) < 2 or not all(groups):
        raise ValueError("give two groups or more, none of them empty")
