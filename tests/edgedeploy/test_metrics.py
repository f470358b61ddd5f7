"""Accuracy intervals against figures from the literature and by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from edgedeploy import metrics


def test_wilson_against_published_values() -> None:
    # Newcombe 1998 (Stat. Med. 17:857), table I: 81/263, 15/148, 0/20, 1/29
    for right, n, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        assert metrics.wilson(right, n) == pytest.approx((low, high), abs=5e-5)
    with pytest.raises(ValueError, match="not a proportion"):
        metrics.wilson(3, 2)


def test_top1_counts_a_nan_as_wrong() -> None:
    logits = np.array([[0.1, 0.9], [np.nan, 2.0], [3.0, 1.0]])
    assert metrics.top1(logits, np.array([1, 1, 0])).tolist() == [True, False, True]


def test_paired_drop_counts_discordant_pairs() -> None:
    reference = np.array([1, 1, 1, 0, 0, 1, 1, 1, 1, 1], bool)
    candidate = np.array([1, 0, 0, 1, 0, 1, 1, 1, 1, 1], bool)
    drop = metrics.paired_drop(reference, candidate, None)
    assert (drop.lost, drop.won, drop.n) == (2, 1, 10)
    assert drop.points == pytest.approx(10.0)
    assert drop.low < 0 < drop.high
    with pytest.raises(ValueError, match="same examples"):
        metrics.paired_drop(reference, candidate[:3], None)


def test_paired_drop_covers_the_true_loss() -> None:
    """95 % intervals hold the true loss in about 95 of 100 simulated evaluations (seeded)."""
    rng = np.random.default_rng(7)
    n, p_lost, p_won, covered, runs = 1000, 0.03, 0.012, 0, 2000
    for _ in range(runs):
        u = rng.random(n)
        reference = (u < p_lost) | (u > 0.3)
        candidate = ((u >= p_lost) & (u < p_lost + p_won)) | (u > 0.3)
        drop = metrics.paired_drop(reference, candidate, None)
        covered += drop.low <= 100 * (p_lost - p_won) <= drop.high
    assert 0.93 <= covered / runs <= 0.97


@pytest.mark.parametrize(
    # the exact binomial test; the last one against scipy.stats.binomtest(1200, 2500).pvalue
    ("lost", "won", "p"),
    [(0, 0, 1.0), (5, 5, 1.0), (1, 0, 1.0), (10, 0, 2 / 1024), (8, 2, 0.109375), (1300, 1200, 0.0476819)],
)
def test_mcnemar_is_the_exact_test(lost: int, won: int, p: float) -> None:
    assert metrics.mcnemar(lost, won) == pytest.approx(p, rel=1e-3)
    assert metrics.mcnemar(won, lost) == metrics.mcnemar(lost, won)
