"""The modes of `bench`, on this host with the real runner; and what their rules make of what was measured."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from device_runner.plans import MODES, sustained, words
from device_runner.plans.mode import broken_rules
from device_runner.results import summary, table
from device_runner.results.store import Store
from device_runner.samples import Samples
from edgedeploy.cli import main
from edgedeploy.errors import UserError
from edgedeploy.record import Limits
from tests.device_runner.conftest import Bench


def steady(durations_ms: list[float]) -> np.ndarray:
    """Back to back."""
    elapsed = (np.array(durations_ms) * 1e6).astype(np.int64)
    return np.stack([np.cumsum(elapsed) - elapsed, elapsed], axis=1)


@pytest.mark.parametrize("name", MODES)
def test_each_mode_makes_a_plan_that_says_which_it_is(name: str) -> None:
    plan = MODES[name].plan({})
    assert plan.mode == name
    assert plan.max_seconds * 1000 > plan.warmup.min_ms + plan.steady.min_ms
    assert MODES[name].plan({"launches": 7}).launches == 7


@pytest.mark.parametrize("given", [{"min_count": 1023}, {"min_ms": 59_999.0}])
def test_mlperf_is_not_mlperf_with_less(given: dict[str, float]) -> None:
    with pytest.raises(UserError, match="--mode mlperf demands --min-"):
        MODES["mlperf"].plan(given)


def test_a_phase_that_its_room_for_samples_ended_is_not_what_was_asked_for(run_bench: Bench, fast: Path) -> None:
    short = {"steady": Limits(min_count=20, min_ms=2000, max_count=25)}
    plan = MODES["sustained"].plan({"min_ms": 2000.0}).model_copy(update=short)
    (record,) = run_bench(fast, how=plan).records
    assert not record.valid
    assert "25 samples are all there is room for" in record.invalid_because[0]
    # where the time is a means to have enough samples, as many as there is room for are enough
    (record,) = run_bench(fast, how=MODES["quick"].plan({"launches": 1, "min_ms": 2000.0}).model_copy(update=short)).records
    assert record.valid
    assert broken_rules(MODES["quick"].plan({}), Samples(np.empty((0, 2), np.int64), steady([10.0] * 20))) == ()


def test_a_sustained_load_has_its_curve_and_both_ends(run_bench: Bench, store: Store, fast: Path) -> None:
    plan = MODES["sustained"].plan({"min_ms": 1500.0})
    (record,) = run_bench(fast, how=plan).records
    assert record.valid, record.invalid_because
    (found,) = record.sustained
    assert sum(window.count for window in found.curve) == record.launches[0].steady_count
    assert found.compared_sec == pytest.approx(0.15, rel=0.05)
    assert found.ratio == pytest.approx(found.last_ms / found.first_ms)
    assert store.read(record.id) == record
    (row,) = summary.rows([record])
    assert any("under load: the first" in line for line in table.footer([row]))
    assert summary.as_json(row, store.place(record.id))["sustained"][0]["ratio"] == found.ratio


def test_a_load_of_ten_minutes_is_compared_by_minutes_and_its_throttling_is_found() -> None:
    # 100 s at 10 ms, then 25 % slower
    samples = steady([10.0] * 10_000 + [12.5] * 40_000)
    found = sustained.curve(0, samples)
    assert found is not None
    assert found.compared_sec == pytest.approx(60)
    assert (found.first_ms, found.last_ms) == (10, 12.5)
    assert found.throttled_after_sec is not None
    assert abs(found.throttled_after_sec - 100) <= found.window_sec
    assert "slower by over 10 % from" in sustained.in_words(found)
    busy = sustained.curve(0, steady([10.0] * 10_000 + [12.5] * 2000 + [10.0] * 38_000))
    assert busy is not None
    assert busy.throttled_after_sec is None
    assert sustained.curve(0, samples[:11]) is None


def test_the_number_of_a_mode_is_said(run_bench: Bench, fast: Path) -> None:
    # an mlperf of less than a minute cannot be asked for; its plan by hand can
    plan = MODES["quick"].plan({}).model_copy(update={"mode": "mlperf"})
    (record,) = run_bench(fast, how=plan).records
    assert record.p90_ms is not None
    assert words.said(record)[0].startswith("mlperf: 90th percentile ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--streams", "2"], "--mode throughput"),
        (["--budget", "10m"], "--until"),
        (["--until", "1%", "--launches", "9"], "10 or more"),
        (["--quick", "--mode", "mlperf"], "not both"),
        (["--mode", "mlperf", "--min-count", "10"], "at least 1024"),
        (["--until", "0"], "0.05"),
        (["--until", "1%", "--budget", "soon"], "10m"),
        (["--until", "1%", "--budget", "nan"], "not a number"),
    ],
)
def test_what_does_not_go_together_is_a_sentence(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "nothing", *arguments])
    assert ended.value.code == 2
    assert says in " ".join(capsys.readouterr().err.split())


def test_the_report_says_what_a_mode_is_for(
    run_bench: Bench, store: Store, fast: Path, tmp_path: Path
) -> None:  # fmt: skip
    (record,) = run_bench(fast, how=MODES["sustained"].plan({"min_ms": 300.0})).records
    page = tmp_path / "page.html"
    with pytest.raises(SystemExit) as ended:
        main(["report", record.id, "--runs", str(store.root), "--out", str(page)])
    assert ended.value.code == 0
    text = page.read_text("utf-8")
    assert "1 run of 1 launch, 1 experiment" in text
    # under the course, and among the facts of the run
    assert len(re.findall(r"nder load: the first [0-9.]+ s took", text)) == 2
    assert "mode sustained, 1 launches" in text
