import math

import numpy as np
import pytest
from scipy import stats

from device_runner.results.statistics import estimate, quantile, ratio, scaled, unpaired_ratio
from edgedeploy.record import Interval


def known(interval: Interval | None) -> Interval:
    assert interval is not None
    return interval


def test_the_interval_is_the_t_interval_of_the_logarithms() -> None:
    values = [1.0, 1.1, 1.3, 0.9, 1.05]
    logs = np.log(values)
    low, high = stats.t.interval(0.95, 4, logs.mean(), stats.sem(logs))
    found = known(estimate(values, "median"))
    assert found.estimate == pytest.approx(stats.gmean(values))
    assert found.low == pytest.approx(math.exp(low))
    assert found.high == pytest.approx(math.exp(high))
    assert found.launches == 5


@pytest.mark.parametrize("values", [[2.0], [2.0, 2.0]])
def test_from_under_three_launches_there_is_an_estimate_and_no_interval_and_it_says_so(values: list[float]) -> None:
    found = known(estimate(values, "median"))
    assert found.estimate == pytest.approx(2.0)
    assert found.low is None
    assert found.high is None
    assert "no interval" in found.method


def test_launches_without_a_value_are_left_out() -> None:
    assert known(estimate([1.0, None, 1.0, 1.0], "median")).launches == 3
    assert estimate([None, None], "median") is None


@pytest.mark.parametrize("launches", [3, 5, 10])
def test_coverage_of_the_median_over_launches(launches: int) -> None:
    """Launches that differ by 5 %, each the median of noisy samples: 95 % of the intervals must hold the truth."""
    rng = np.random.default_rng(launches)
    trials, held = 2000, 0
    for _ in range(trials):
        centres = 0.05 * rng.standard_normal(launches)
        medians = [float(np.exp(np.median(centre + 0.2 * rng.standard_normal(31)))) for centre in centres]
        found = known(estimate(medians, "median"))
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 1.0 <= found.high
    # four standard errors of a proportion over 2,000 trials are two points
    assert 0.93 <= held / trials <= 0.97


def test_coverage_of_a_ratio_on_a_device_that_drifts() -> None:
    """A device that slows down by a tenth over the experiment, in ABBA order: the ratio's interval must still cover."""
    rng = np.random.default_rng(7)
    trials, blocks, truth, held, unpaired = 2000, 6, 1.2, 0, 0
    for _ in range(trials):
        a: dict[int, float] = {}
        b: dict[int, float] = {}
        for block in range(blocks):
            for place, which in enumerate("ab" if block % 2 == 0 else "ba"):
                drift = 1 + 0.1 * (2 * block + place) / (2 * blocks)
                noise = float(np.exp(0.02 * rng.standard_normal()))
                (a if which == "a" else b)[block] = drift * noise * (truth if which == "a" else 1.0)
        found = known(ratio(a, b))
        assert found.low is not None
        assert found.high is not None
        held += found.low <= truth <= found.high
        apart = known(estimate(list(a.values()), "a"))
        assert apart.low is not None
        assert apart.high is not None
        unpaired += (found.high - found.low) / found.estimate < (apart.high - apart.low) / apart.estimate
    assert held / trials >= 0.93
    # and pairing pays: the ratio is surer than one artifact's own time
    assert unpaired / trials > 0.5


def test_a_drift_is_taken_out_as_a_regression_does_it() -> None:
    rng = np.random.default_rng(3)
    logs = 0.01 * rng.standard_normal(12) + 0.03 * np.arange(12)
    found = known(estimate(np.exp(logs).tolist(), "median"))
    fitted = stats.linregress(np.arange(12) - 5.5, logs)
    half = stats.t.ppf(0.975, 10) * fitted.intercept_stderr
    assert found.estimate == pytest.approx(math.exp(fitted.intercept))
    assert (found.low, found.high) == pytest.approx((math.exp(fitted.intercept - half), math.exp(fitted.intercept + half)))
    assert "a drift taken out" in found.method
    # of launches in nobody's order, and of so few that it would cost more than it gains, the drift is scatter
    for other in (estimate(np.exp(logs).tolist(), "median", ordered=False), estimate(np.exp(logs[:7]).tolist(), "median")):
        assert "drift" not in known(other).method


def test_what_a_drift_adds_to_a_ratio_goes_by_how_far_apart_the_two_launches_were() -> None:
    apart = {block: (-3.0, 1.0, 3.0, -1.0)[block % 4] for block in range(8)}
    a, b = {block: 2 * math.exp(0.01 * apart[block]) for block in range(8)}, dict.fromkeys(range(8), 1.0)
    found, plain = known(ratio(a, b, apart)), known(ratio(a, b))
    assert found.estimate == pytest.approx(2)
    assert (found.low, found.high) == pytest.approx((2, 2))
    assert plain.low is not None
    assert plain.low < 1.99
    # one was always the later one: what is drift and what is the artifact cannot be told apart
    assert "drift" not in known(ratio(a, b, dict.fromkeys(range(8), 1.0))).method
    assert "drift" not in known(ratio(a, b, {block: 5.0 + block % 2 for block in range(8)})).method


@pytest.mark.parametrize("drift", [0.0, 0.3])
def test_coverage_of_ten_launches_whether_or_not_the_device_drifts(drift: float) -> None:
    rng = np.random.default_rng(5)
    trials, held = 2000, 0
    course = drift * (np.arange(10) - 4.5) / 9
    for _ in range(trials):
        found = known(estimate(np.exp(course + 0.02 * rng.standard_normal(10)).tolist(), "median"))
        assert found.low is not None
        assert found.high is not None
        assert found.high / found.low < 1.1
        held += found.low <= 1 <= found.high
    assert 0.93 <= held / trials <= 0.97


def test_runs_that_drift_each_on_their_own_are_compared_without_it() -> None:
    values = [math.exp(0.01 * at) * (1 + 0.0001 * (at % 3)) for at in range(10)]
    found = known(unpaired_ratio([2 * value for value in values], values))
    assert found.high is not None
    assert found.high < 2.001
    apart = known(unpaired_ratio([2 * value for value in values], values, ordered=False))
    assert apart.high is not None
    assert apart.high > 2.03


def test_a_ratio_is_paired_by_block() -> None:
    found = known(ratio({0: 2.0, 1: 4.0, 2: 8.0, 5: 99.0}, {0: 1.0, 1: 2.0, 2: 4.0, 7: 99.0}))
    assert found.estimate == pytest.approx(2)
    assert found.low == pytest.approx(2)
    assert found.high == pytest.approx(2)
    assert found.launches == 3
    assert ratio({0: 1.0}, {1: 1.0}) is None


def test_a_quantile_needs_samples_enough_to_tell_it() -> None:
    few, many = np.arange(1, 16), np.arange(1, 1001)
    assert quantile(few, 0.5) == 8
    assert quantile(few, 0.9) is None
    assert quantile(many[:999], 0.99) is None
    assert quantile(many, 0.99) == pytest.approx(np.quantile(many, 0.99))
    assert quantile(np.array([]), 0.5) is None


def test_scaled_changes_the_unit_and_keeps_what_is_not_known() -> None:
    assert scaled(None, 2) is None
    found = known(scaled(Interval(estimate=2, low=None, high=None, launches=1), 0.5))
    assert (found.estimate, found.low, found.high) == (1, None, None)
