"""What lies under the figures: thinning that loses no extreme, scales, numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_runner.results.report import limits, numbers
from device_runner.results.report.labels import Labels
from device_runner.results.report.samples import LaunchSamples, over_time
from device_runner.results.report.scales import Linear, Log, padded
from edgedeploy.record import Interval

positive = st.floats(1e-6, 1e9)


@given(st.lists(st.floats(1e-4, 1e4), min_size=1, max_size=2000))
def test_thinning_keeps_every_extreme_and_every_sample_counts_once(values: list[float]) -> None:
    launch = LaunchSamples(0, True, np.arange(len(values), dtype=float), np.array(values))
    points = over_time(launch)
    assert len(points) == min(len(values), limits.MAX_POINTS)
    assert sum(point.count for point in points) == len(values)
    assert min(point.low_ms for point in points) == min(values)
    assert max(point.high_ms for point in points) == max(values)
    assert all(point.low_ms <= point.median_ms <= point.high_ms for point in points)
    assert over_time(launch) == points


@pytest.mark.parametrize(("count", "most"), [(0, 5), (1, 5), (5, 5), (6, 5), (1000, 7)])
def test_spread(count: int, most: int) -> None:
    kept = limits.spread(count, most)
    assert len(kept) == min(count, most)
    assert kept == sorted(set(kept))
    assert not kept or (kept[0], kept[-1]) == (0, count - 1)


@given(st.lists(positive, min_size=1, max_size=20))
def test_a_log_scale_orders_and_stays_inside(values: list[float]) -> None:
    scale = Log(*padded(values), 40.0, 300.0)
    places = [scale(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(40 <= place <= 300 for place in places)
    ticks = scale.ticks(6)
    assert len(ticks) <= 6
    assert all(40 <= scale(tick) <= 300 for tick in ticks)
    assert ticks == sorted(set(ticks))


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_a_linear_scale_has_few_round_ticks(low: float, span: float) -> None:
    scale = Linear(low, low + span, 100.0, 0.0)
    ticks = scale.ticks(6)
    assert 1 <= len(ticks) <= 6
    assert scale(low) == 100
    assert scale(low - 5) == 100  # outside goes to the edge


def test_the_same_factor_is_the_same_distance() -> None:
    scale = Log(0.1, 100, 0, 300)
    assert math.isclose(scale(2) - scale(1), scale(20) - scale(10))


def test_labels_never_cover_each_other_and_say_when_there_is_no_room() -> None:
    room = Labels(0, 200, 0, 60)
    placed = [room.place("a long name", 60, 30, 9, "name") for _ in range(30)]
    assert placed[0]
    assert placed[-1] == ""
    boxes = room._taken
    for at, one in enumerate(boxes):
        for other in boxes[at + 1 :]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


@pytest.mark.parametrize(
    ("interval", "shown"),
    [
        (None, "–"),
        (Interval(estimate=0.0821, launches=1), "0.0821 ms"),
        (Interval(estimate=1.534, low=1.5, high=1.571, launches=5), "1.53 ms [1.50, 1.57]"),
        (Interval(estimate=146.2, low=140, high=151, launches=5), "146 ms [140, 151]"),
        (Interval(estimate=-1, launches=5), "-1 ms"),
    ],
)
def test_times(interval: Interval | None, shown: str) -> None:
    assert numbers.times(interval, " ms") == shown


def test_minus_and_nought() -> None:
    assert numbers.signed(-0.47, 2) == "−0.47"
    assert numbers.signed(-0.001, 2) == "0.00"
    assert numbers.p_value(0.0002) == "< 0.001"
