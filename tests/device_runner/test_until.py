"""`--until`: launches are added until the median is known well enough."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest

from device_runner import benching
from device_runner.plans import MODES, until
from device_runner.results import summary, table
from device_runner.results.statistics import estimate
from device_runner.results.store import Store
from edgedeploy.progress import StatusLine
from edgedeploy.record import Plan
from tests.device_runner import tiny
from tests.device_runner.conftest import Bench

SHORT = {"warmup_count": 2, "warmup_ms": 0.0, "min_count": 30, "min_ms": 5.0}


def plan(**given: float) -> Plan:
    return MODES["standard"].plan({**SHORT, "launches": 40, **given})


def test_it_ends_when_every_artifact_is_there(run_bench: Bench, fast: Path, slow: Path) -> None:
    finished = run_bench(fast, slow, how=plan(until=0.5))
    for record in finished.records:
        assert record.valid
        assert len(record.launches) == until.MIN_LAUNCHES
        assert record.median_ms is not None
        assert "wider by 8 %" in record.median_ms.method
        assert not [text for text in record.warnings if "was asked for" in text]
    order = [run for run, _ in finished.records[0].experiment.order]
    # a block is both, side by side
    assert all(set(order[at : at + 2]) == {record.id for record in finished.records} for at in range(0, len(order), 2))
    assert "launches until ±50 %" in "".join(table.footer(summary.rows(finished.records)))


def test_a_budget_ends_it_and_says_how_far_it_came(run_bench: Bench, fast: Path) -> None:
    (record,) = run_bench(fast, how=plan(until=0.0001, budget_sec=0.001)).records
    assert len(record.launches) == 1
    assert record.launches[0].took_sec
    assert any("not reached within the budget of 0.001 s: no width, 10 launches" in text for text in record.warnings)
    assert not record.valid


def test_the_most_launches_end_it_and_the_run_counts(run_bench: Bench, fast: Path) -> None:
    (record,) = run_bench(fast, how=plan(until=0.00001, launches=10)).records
    assert record.valid
    assert len(record.launches) == 10
    assert any("within the most launches it was to have: ±" in text for text in record.warnings)


def test_what_fails_ends_nothing_for_the_others(run_bench: Bench, fast: Path, tmp_path: Path) -> None:
    whole, broken = run_bench(fast, tiny.write_bundle(tmp_path / "broken", truncate=True), how=plan(until=0.5)).records
    assert whole.valid
    assert len(whole.launches) == until.MIN_LAUNCHES
    assert not broken.valid
    assert len(broken.launches) == 1


class Enough(StatusLine):
    """Stops the bench as a Ctrl-C does, when so many launches are done."""

    def __init__(self, after: int) -> None:
        super().__init__(io.StringIO())
        self.left = after

    def line(self, text: str) -> None:
        self.left -= "median" in text
        if self.left == 0:
            raise KeyboardInterrupt


def test_a_stopped_one_goes_on_to_the_same_end(store: Store, fast: Path, slow: Path) -> None:
    running: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        benching.bench([fast, slow], "local", plan(until=0.5), store, 0, {}, Enough(7), running.append)
    finished = benching.resume(running[0], store, StatusLine(io.StringIO()), running.append)
    for record in finished.records:
        assert record.valid
        assert [launch.block for launch in record.launches] == list(range(until.MIN_LAUNCHES))


def test_the_interval_is_wider_on_both_sides_alike_and_decides_by_its_width() -> None:
    medians = [1.0, 1.02, 0.99, 1.01, 1.0, 1.03, 0.98, 1.0, 1.01, 1.0]
    narrow, wide = estimate(medians, "x"), until.widened(estimate(medians, "x"))
    assert narrow is not None
    assert wide is not None
    assert narrow.low is not None
    assert narrow.high is not None
    assert wide.low is not None
    assert wide.high is not None
    assert math.log(wide.high / wide.estimate) == pytest.approx(until.WIDER * math.log(narrow.high / narrow.estimate))
    assert math.log(wide.estimate / wide.low) == pytest.approx(math.log(wide.high / wide.estimate))
    width = until.half_width(medians)
    assert width == pytest.approx(math.sqrt(wide.high / wide.low) - 1)
    assert until.half_width(medians[:9]) is None
    assert until.stopped_at(medians, width) == 10
    assert until.stopped_at(medians, width * 0.99) is None
    # once there, launches that come after change nothing
    assert until.stopped_at([*medians, 3.0], width) == 10


def test_it_holds_what_it_says_on_launches_that_differ() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        medians: list[float] = []
        while until.stopped_at(medians, 0.02) is None:
            medians.append(float(np.exp(0.03 * rng.standard_normal())))
        interval = until.widened(estimate(medians, ""))
        assert interval is not None
        held += interval.low is not None and interval.high is not None and interval.low <= 1 <= interval.high
    # 95 %, less three standard deviations of 300 tries
    assert held >= 300 * 0.95 - 3 * math.sqrt(300 * 0.95 * 0.05)
