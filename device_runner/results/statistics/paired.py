"""Whether two artifacts are equally accurate, from the same examples, subjects or folds seen by both."""

from __future__ import annotations

from collections.abc import Sequence

from edgedeploy.metrics import mcnemar

__all__ = ["mcnemar", "wilcoxon"]


def wilcoxon(one: Sequence[float], other: Sequence[float]) -> float:
    """Two-sided p of Wilcoxon's signed-rank test of pairs (F. Wilcoxon, "Individual comparisons by ranking methods", 1945).

    Pairs without a difference are dropped, as R does; exact where there are 50 pairs at most and no ties, else the normal
    approximation with continuity correction. 1 where no pair differs. Raises ValueError for unequal lengths.
    """
    differences = [a - b for a, b in zip(one, other, strict=True)]
    kept = [value for value in differences if value != 0]
    if not kept:
        return 1.0
    from scipy import stats

    exact = len(kept) == len(differences) and len(differences) < 50 and len({abs(value) for value in kept}) == len(kept)
    method = "exact" if exact else "approx"
    return float(stats.wilcoxon(kept, zero_method="wilcox", correction=not exact, method=method).pvalue)
