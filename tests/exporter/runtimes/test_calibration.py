"""Ranges from histograms, against cases worked out by hand and against ONNX Runtime's own calibrators."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgedeploy.errors import UserError
from exporter import calibration
from exporter.calibration import Histogram, Ranges, divergence_when_clipped, entropy_range, percentile_range


def histogram(values: list[float] | np.ndarray, half_bins: int = 4) -> Histogram:
    made = Histogram(half_bins)
    made.add(np.asarray(values, np.float32))
    return made


def test_bins_by_hand() -> None:
    # the limit is 4, a bin is 1 wide
    made = histogram([-4.0, -0.5, 0.0, 0.0, 0.5, 2.0, 3.9])
    assert made.limit == 4
    assert made.counts.tolist() == [1, 0, 0, 1, 1, 0, 1, 1]
    assert (made.zeros, made.total, made.low, made.high) == (2, 7, -4.0, np.float32(3.9))


def test_growing_merges_bins_and_does_not_depend_on_the_order() -> None:
    small, large = [0.1, -0.9, 0.6, 0.0], [7.5, -3.0]
    one, other, both = Histogram(8), Histogram(8), histogram(small + large, 8)
    for made, parts in ((one, (small, large)), (other, (large, small))):
        for part in parts:
            made.add(np.array(part, np.float32))
    assert one.counts.tolist() == other.counts.tolist() == both.counts.tolist()
    assert one.limit == 8
    # far beyond the number of bins: everything seen before ends up beside zero
    one.add(np.array([1e6], np.float32))
    assert one.counts.tolist()[7:9] == [2, 3]
    assert one.total == 7


def test_minmax_is_what_was_seen() -> None:
    assert histogram([-1.5, 3.25]).range("minmax") == (-1.5, 3.25)
    assert Histogram().range("minmax") == (0.0, 0.0)
    for method in ("minmax", "percentile", "entropy"):
        assert histogram([0.0, 0.0]).range(method) == (0.0, 0.0)  # type: ignore[arg-type]


def test_percentile_by_hand() -> None:
    # eight values, one per bin; a quarter may be cut, half of it on either side: one value each
    made = histogram([-3.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5])
    assert percentile_range(made, kept=0.75) == (-3.0, 3.0)
    assert percentile_range(made, kept=1.0) == (-4.0, 4.0)


def test_percentile_of_few_values_cuts_nothing() -> None:
    assert histogram(np.linspace(-1, 3, 1000), 2048).range("percentile") == (-1.0, 3.0)


def test_divergence_by_hand() -> None:
    # (3/4, 1/4) against (1/2, 1/2)
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    counts = np.array([3, 1], np.int64)
    assert divergence_when_clipped(counts, 0, 1, levels=1) == pytest.approx(expected)
    assert divergence_when_clipped(counts, 0, 1, levels=2) == 0
    # clipped to the first two of four equal bins: (2, 2 + 4) / 8 against (1/2, 1/2)
    assert divergence_when_clipped(np.full(4, 2, np.int64), 0, 1, levels=2) == pytest.approx(expected)


def test_entropy_keeps_an_even_distribution_and_cuts_a_far_outlier() -> None:
    rng = np.random.default_rng(0)
    even = histogram(rng.uniform(-1, 1, 200_000), 2048)
    low, high = even.range("entropy")
    assert (low, high) == pytest.approx((-1, 1), abs=0.03)
    heavy = histogram(np.append(rng.standard_normal(200_000), [40.0]), 2048)
    low, high = heavy.range("entropy")
    assert 2 < high < 20
    assert low < -2


def test_entropy_looks_past_the_zeros_of_a_relu() -> None:
    rng = np.random.default_rng(0)
    positive = np.abs(rng.standard_normal(50_000))
    with_zeros = np.append(positive, np.zeros(500_000))
    assert entropy_range(histogram(with_zeros, 2048)) == entropy_range(histogram(positive, 2048))


def test_agrees_with_onnx_runtime() -> None:
    from onnxruntime.quantization.calibrate import HistogramCollector

    values = np.random.default_rng(1).standard_normal(100_000).astype(np.float32)
    ours = histogram(values, 2048)
    theirs = {}
    for method in ("percentile", "entropy"):
        collector = HistogramCollector(method, False, 2048, 255, 99.99, "same")
        collector.collect({"x": values})
        theirs[method] = tuple(float(end) for end in collector.compute_collection_result()["x"][:2])
    assert ours.range("percentile") == pytest.approx(theirs["percentile"], abs=0.05)
    # theirs stays symmetric and starts at other bins: the same size is all there is to expect
    assert ours.range("entropy")[1] == pytest.approx(theirs["entropy"][1], rel=0.35)


def test_a_nan_is_refused_and_an_infinity_left_out() -> None:
    ranges = Ranges()
    with pytest.raises(UserError, match=r"x.*not a number"):
        ranges.observe("x", np.array([1.0, np.nan], np.float32))
    ranges.observe("y", np.array([-np.inf, 2.0, -1.0], np.float32))
    ranges.observe("z", np.array([], np.float32))
    assert ranges.by("minmax") == {"x": (0.0, 0.0), "y": (-1.0, 2.0), "z": (0.0, 0.0)}


def test_memory_does_not_grow_with_examples() -> None:
    ranges = Ranges()
    for scale in (1e-6, 1.0, 1e6):
        ranges.observe("x", np.full(1000, scale, np.float32))
    assert ranges._histograms["x"].counts.size == 2 * calibration.HALF_BINS
