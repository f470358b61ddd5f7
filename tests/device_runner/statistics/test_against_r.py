"""Ranks, pairs and effects against R's numbers (cases.R made cases.json, with R 4.2.2) and scikit-posthocs's."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from device_runner.results.statistics import cliffs_delta, conover, holm, kruskal_wallis, mcnemar, wilcoxon

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "cases.json").read_text())
#: scikit_posthocs.posthoc_conover(groups, p_adjust="holm") of version 0.17.1, the pairs in order
POSTHOCS = {
    "groups apart": [0.0017497366000700514, 0.0013889992309157294, 5.8157559696987e-06],
    "groups tied": [
        0.11636653009911546, 0.28493824824726777, 0.0123943426172538, 0.02530152526565241, 0.230663936255189,
        0.003375911364191946,
    ],
    "groups uneven": [0.0753455011030651],
    "groups alike": [1.0, 1.0, 1.0],
}  # fmt: skip


def of(kind: str) -> list[Any]:
    return [pytest.param(case, id=case["case"]) for case in CASES if case["case"].startswith(kind)]


@pytest.mark.parametrize("case", of("groups"))
def test_kruskal_wallis_and_conover_are_rs(case: dict[str, Any]) -> None:
    h, p = kruskal_wallis(case["groups"])
    assert (h, p) == (pytest.approx(case["h"]), pytest.approx(case["p"]))
    found = conover(case["groups"])
    assert list(found) == list(combinations(range(len(case["groups"])), 2))
    assert list(found.values()) == pytest.approx(case["conover_holm"], rel=1e-9)
    assert list(found.values()) == pytest.approx(POSTHOCS[case["case"]], rel=1e-9)


@pytest.mark.parametrize("case", of("pairs"))
def test_wilcoxon_is_rs(case: dict[str, Any]) -> None:
    assert wilcoxon(case["one"], case["other"]) == pytest.approx(case["p"])
    assert wilcoxon(case["other"], case["one"]) == pytest.approx(case["p"])


@pytest.mark.parametrize("case", of("discordant"))
def test_mcnemar_is_rs_exact_test(case: dict[str, Any]) -> None:
    assert mcnemar(case["lost"], case["won"]) == pytest.approx(case["p"])


def test_holm_is_rs() -> None:
    (case,) = [case for case in CASES if case["case"] == "holm"]
    assert holm(case["given"]) == pytest.approx(case["p"])
    assert holm([]) == []


def test_nothing_differs_where_every_value_is_the_same() -> None:
    assert kruskal_wallis([[1, 1], [1, 1, 1]]) == (0.0, 1.0)
    assert conover([[1, 1], [1, 1, 1]]) == {(0, 1): 1.0}
    assert conover([[1], [2], [3]]) == {(0, 1): 1.0, (0, 2): 1.0, (1, 2): 1.0}
    assert wilcoxon([1, 2], [1, 2]) == 1.0


@pytest.mark.parametrize("groups", [[], [[1.0]], [[1.0], []]])
def test_too_little_to_compare_is_refused(groups: list[list[float]]) -> None:
    for test in (kruskal_wallis, conover):
        with pytest.raises(ValueError, match="two groups"):
            test(groups)
    with pytest.raises(ValueError, match="empty"):
        cliffs_delta([], [1.0])


def test_cliffs_delta_counts_the_pairs() -> None:
    rng = np.random.default_rng(3)
    one, other = rng.integers(0, 9, 40).tolist(), rng.integers(1, 10, 31).tolist()
    by_pair = np.sign(np.subtract.outer(one, other)).mean()
    assert cliffs_delta(one, other).delta == pytest.approx(by_pair)
    # it is what Mann and Whitney's U says
    assert cliffs_delta(one, other).delta == pytest.approx(2 * stats.mannwhitneyu(one, other).statistic / (40 * 31) - 1)
    assert cliffs_delta(other, one).delta == pytest.approx(-by_pair)


@pytest.mark.parametrize(
    ("above", "of_pairs", "magnitude"),
    [
        (0, 1000, "negligible"),
        (146, 1000, "negligible"),
        (147, 1000, "small"),
        (330, 1000, "medium"),
        (474, 1000, "large"),
        (1, 1, "large"),
    ],
)
def test_the_magnitudes_are_romanos(above: int, of_pairs: int, magnitude: str) -> None:
    # `above` of the values are over the one they are held against, the others equal to it
    effect = cliffs_delta([1.0] * above + [0.0] * (of_pairs - above), [0.0])
    assert (effect.delta, effect.magnitude) == (above / of_pairs, magnitude)
