"""Several streams at once, with the real runner; and a slowdown that is planted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device_runner import launches, plan
from device_runner.plans import MODES, throughput, words
from device_runner.results.store import Store
from device_runner.runner import RunnerRefused
from device_runner.samples import Samples
from device_runner.session import Session
from device_runner.transports import local
from edgedeploy import bundle
from tests.device_runner.conftest import BRIEF, Bench

SHORT = {"launches": 3, "warmup_ms": 10.0, "min_ms": 200.0}


@pytest.mark.parametrize("streams", [2, 3])
def test_streams_infer_side_by_side_and_all_their_samples_are_kept(
    run_bench: Bench, store: Store, slow: Path, streams: int
) -> None:
    (record,) = run_bench(slow, how=MODES["throughput"].plan({**SHORT, "streams": streams})).records
    assert record.valid, record.invalid_because
    assert record.plan.streams == streams
    for launch in record.launches:
        assert launch.conforms
        assert launch.inferences_per_sec is not None
        rows = [row for row in store.samples(record.id) if row[0] == launch.index and row[1] == "steady"]
        by_stream = Counter(row[6] for row in rows)
        assert set(by_stream) == {f"stream {stream}" for stream in range(streams)}
        assert min(by_stream.values()) >= record.plan.steady.min_count
        assert sum(by_stream.values()) == launch.steady_count
        # side by side: each began before any had ended
        began = [min(row[4] for row in rows if row[6] == name) for name in by_stream]
        ended = [max(row[4] + row[5] for row in rows if row[6] == name) for name in by_stream]
        assert max(began) < min(ended)
        # about as many as the whole phase says; the ends, where not all are at work, are left out
        whole = len(rows) / ((max(ended) - min(began)) / 1e9)
        assert launch.inferences_per_sec == pytest.approx(whole, rel=0.25)
    assert record.inferences_per_sec is not None
    assert record.inferences_per_sec.low is not None
    assert "inferences a second" in words.said(record)[0]


@pytest.mark.parametrize("name", ["image.tflite", "image.pte"])
def test_every_runtime_has_streams(run_bench: Bench, models: Path, name: str) -> None:
    (record,) = run_bench(models / name, how=MODES["throughput"].plan({**SHORT, "launches": 1})).records
    assert record.valid, record.invalid_because
    assert record.inferences_per_sec is not None


def test_a_second_is_of_the_time_in_which_all_are_at_work() -> None:
    # 10 ms each; one stream is there from 0 to 100 ms, the other from 50 to 150
    starts = np.concatenate([np.arange(0, 100, 10), np.arange(50, 150, 10)]) * 1_000_000
    streams = np.repeat(np.array([0, 1], np.int16), 10)
    order = np.argsort(starts, kind="stable")
    steady = np.stack([starts, np.full(20, 10_000_000)], axis=1)[order]
    assert throughput.per_second(Samples(steady[:0], steady, streams[order])) == pytest.approx(200)
    assert throughput.per_second(Samples(steady[:0], steady)) is None


def test_a_planted_slowdown_is_refused_unless_it_is_allowed(
    session: Session, fast: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = replace(plan.from_bundle(bundle.read(fast)), spin_percent=400.0)

    def medians(spin: float, directory: str) -> float:
        asked = plan.document(replace(workload, spin_percent=spin), BRIEF, outputs=False)
        session.start(directory, session.stage(workload), asked)
        session.wait(directory, BRIEF, lambda status: None)
        measured = session.collect(directory, workload)
        session.discard(directory)
        launch = launches.entry(
            replace(workload, conformance=None), measured, index=0, position=0, block=0, started="", before=None, after=None,
            plan=BRIEF,
        )  # fmt: skip
        assert launch.steady_median_ns is not None, launch.invalid_because
        return launch.steady_median_ns

    with pytest.raises(RunnerRefused, match="spin_percent: for tests"):
        medians(400.0, "runs/planted/0")
    session.discard("runs/planted")
    environment = local._environment()
    monkeypatch.setattr(local, "_environment", lambda: {**environment, "EDGEBENCH_ALLOW_SPIN": "1"})
    # an order of magnitude, no time: five times as long by construction
    assert medians(400.0, "runs/planted/1") > 2 * medians(0.0, "runs/planted/2")
    session.discard("runs/planted")
