"""What is found in a launch and in a run, where it is planted and where nothing is."""

from __future__ import annotations

import numpy as np
import pytest

from device_runner.samples import Samples
from device_runner.validity import FLAGS, busy, look, throttled, two_speeds
from edgedeploy.record import Context, Launch
from tests.device_runner.validity.planted import Floats, quiet, stepped, taken


def flags(times_ms: Floats) -> list[str]:
    return [finding.flag for finding in look.at_samples(taken(times_ms))[1]]


@pytest.mark.parametrize("count", [1, 19, 100, 1000, 50_000])
def test_a_quiet_launch_has_no_flag(count: int) -> None:
    assert look.at_samples(taken(quiet(count))) == (0, ())


def test_what_was_warm_up_still_is_found_to_the_sample_or_nearly() -> None:
    unsettled, (finding,) = look.at_samples(taken(stepped()))
    assert abs(unsettled - 150) <= 25
    assert finding.flag == "warm-up"
    assert finding.numbers["slower_percent"] == pytest.approx(20, abs=1)
    samples = look.marked(taken(stepped()), unsettled)
    assert samples.flags == ("warm-up",) * unsettled + ("",) * (1000 - unsettled)
    assert np.array_equal(samples.steady, taken(stepped()).steady)


def test_a_warm_up_of_several_steps_ends_with_the_last() -> None:
    times = quiet(2000)
    times[:200] *= 1.5
    times[200:400] *= 1.15
    assert abs(look.at_samples(taken(times))[0] - 400) <= 50


def test_a_launch_that_gets_slow_again_had_no_warm_up() -> None:
    times = stepped()
    times[600:] *= 1.2
    unsettled, found = look.at_samples(taken(times))
    assert unsettled == 0
    assert "warm-up" not in [finding.flag for finding in found]


def test_nor_had_one_that_was_slow_for_half_of_it_or_was_fast_at_first() -> None:
    assert look.at_samples(taken(stepped(first=500)))[0] == 0
    assert look.at_samples(taken(stepped(slower=0.8)))[0] == 0


@pytest.mark.parametrize("percent", [5.0, -5.0])
def test_drift_is_found_with_its_size(percent: float) -> None:
    times = quiet() * np.exp(np.linspace(0, np.log1p(percent / 100), 1000))
    finding = next(found for found in look.at_samples(taken(times))[1] if found.flag == "drift")
    assert finding.numbers["drift_percent"] == pytest.approx(percent, abs=1)


def test_a_drift_of_no_consequence_is_none_however_sure() -> None:
    assert flags(quiet(100_000) * np.exp(np.linspace(0, 0.015, 100_000))) == []


def test_outliers_are_marked_and_nothing_is_taken_away() -> None:
    times = quiet()
    times[::20] *= 4
    samples = taken(times)
    assert flags(times) == ["outliers"]
    marked = look.marked(samples, 0)
    assert [at for at, flag in enumerate(marked.flags) if flag == "outlier"] == list(range(0, 1000, 20))
    assert np.array_equal(marked.steady, samples.steady)
    # a few are what any system has: marked, and no flag
    times = quiet()
    times[500] *= 4
    assert flags(times) == []
    assert look.marked(taken(times), 0).flags[500] == "outlier"


@pytest.mark.parametrize(("apart", "every"), [(1.1, 3), (1.5, 8)])
def test_two_speeds_of_samples(apart: float, every: int) -> None:
    times = quiet()
    times[::every] *= apart
    finding = next(found for found in look.at_samples(taken(times))[1] if found.flag == "two-speeds")
    assert finding.numbers["apart_percent"] == pytest.approx(100 * (apart - 1), abs=1)
    assert finding.numbers["slow_share_percent"] == pytest.approx(100 / every, abs=1)


@pytest.mark.parametrize(
    "times",
    [
        np.linspace(1, 2, 1000)[np.random.default_rng(0).permutation(1000)],
        1 + np.random.default_rng(0).exponential(0.3, 1000),
        # by a clock that ticks every 52 ns
        np.random.default_rng(0).choice([0.000_988, 0.001_04, 0.001_092], 1000),
        np.ones(1000),
    ],
    ids=["even", "skewed", "ticks", "constant"],
)
def test_one_speed_however_it_is_spread(times: Floats) -> None:
    assert "two-speeds" not in flags(times)


def test_a_clock_that_stands_still_and_times_beyond_all_sense_break_nothing() -> None:
    for times in (np.zeros(1000), np.full(1000, 9e12), np.where(np.arange(1000) % 2, 0.0, 9e12)):
        assert all(np.isfinite(list(finding.numbers.values())).all() for finding in look.at_samples(taken(times))[1])
    assert look.at_samples(Samples.none()) == (0, ())
    assert look.marked(Samples.none(), 0).flags == ()


def test_of_streams_side_by_side_the_marks_stay_and_no_warm_up_is_sought() -> None:
    one = taken(stepped()).steady
    both = Samples(one[:0], np.concatenate([one, one]), np.repeat(np.arange(2, dtype=np.int16), 1000), ("stream 0",) * 2000)
    assert look.at_samples(both)[0] == 0
    assert look.marked(both, 0) is both


@pytest.mark.parametrize(
    ("medians", "flag"),
    [
        ([1, 1.01, 0.99, 1, 1.01], None),
        ([1, 1.3, 0.9, 1.1, 1.2], None),
        ([1, 1.001, 1.5, 1.502, 1.001], "two-speeds"),
        ([1, 1.001, 1.03, 1.0302, 1.0001], None),
        ([1, 1.001, 1.002, 1.5, 1.001], "apart"),
        ([1, 0.5, 1.002, 1.001, 1.001], "apart"),
        ([1, 1.5], None),
        ([1, 1.01, 1.5], None),
    ],
)
def test_launches_of_two_speeds_and_one_that_is_apart(medians: list[float], flag: str | None) -> None:
    finding = two_speeds.among_launches([1e6 * each for each in medians])
    assert (finding.flag if finding else None) == flag


def launch(index: int, **given: object) -> Launch:
    return Launch.model_validate({"index": index, "position": index, "block": index, "started": "t", "valid": True} | given)


def context(**given: object) -> Context:
    return Context.model_validate({"taken": "t"} | given)


def test_launches_that_drift() -> None:
    found = look.at_run([launch(at, steady_median_ns=1e6 * 1.02**at) for at in range(10)])
    assert [finding.flag for finding in found] == ["drift"]
    assert look.at_run([launch(at, steady_median_ns=1e6 * 1.02**at) for at in range(10)], ordered=False) == ()
    # of launches that do not count, nothing is said
    assert look.at_run([launch(at, steady_median_ns=1e6 * 1.02**at, valid=False) for at in range(10)]) == ()


def clocks(khz_ms: dict[str, int]) -> Context:
    return context(time_in_state_ms={"policy0": {"600000": 0, "2000000": 0}, "policy4": khz_ms})


def test_a_launch_with_its_clocks_down_is_found_by_the_time_spent_at_each() -> None:
    cool = launch(0, before=clocks({"1000000": 5, "3000000": 0}), after=clocks({"1000000": 5, "3000000": 1000}))
    hot = launch(1, before=clocks({"1000000": 5, "3000000": 1000}), after=clocks({"1000000": 505, "3000000": 1500}))
    assert throttled.mean_clock_khz(hot.before, hot.after) == 2e6
    finding = throttled.among_launches([cool, hot])
    assert finding is not None
    assert finding.numbers["drop_percent"] == pytest.approx(100 / 3)
    assert throttled.among_launches([cool, cool]) is None
    # a device that was started again in between has counted from nothing
    assert throttled.mean_clock_khz(hot.after, hot.before) is None


def test_a_clock_that_comes_down_under_load_and_stays() -> None:
    def course(*ghz: float) -> list[Context]:
        return [context(frequencies_khz={"cpu0": int(each * 1e6), "cpu1": 100_000}) for each in ghz]

    finding = throttled.in_launch(None, None, course(3, 3, 2.5, 2, 2, 2))
    assert finding is not None
    assert "from 3.00 to 2.00 GHz" in finding.text
    assert throttled.in_launch(None, None, course(3, 3, 2, 3, 3, 3)) is None
    assert throttled.in_launch(None, None, course(3, 2)) is None
    assert throttled.in_launch(None, None, []) is None


def test_what_the_app_was_told_of_the_heat_is_throttling() -> None:
    looked = look.at_launch(launch(0, flags=("interrupted", "in the app: severe")), Samples.none(), leaves_out=True)
    assert [finding.text for finding in looked.findings or ()] == ["the device throttled: in the app: severe"]


def test_a_launch_that_was_put_aside_often() -> None:
    assert busy.found(20, 0.4) is None
    assert busy.found(None, 1) is None
    assert busy.found(10, 0) is None
    finding = busy.found(200, 1.0)
    assert finding is not None
    assert finding.flag in FLAGS
    loaded = [launch(at, before=context(load_1m=load)) for at, load in enumerate((1.5, 3.0))]
    assert busy.load(loaded) == "load average 1.5 to 3.0"
    assert busy.load([launch(0)]) == ""
