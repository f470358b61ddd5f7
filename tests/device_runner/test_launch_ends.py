"""Launches that end badly, with the real runner: killed, hung, over their time. Each costs itself and nothing else."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from device_runner.results.store import Store
from edgedeploy.record import Limits
from tests.device_runner.conftest import BRIEF, Bench

LONG = BRIEF.model_copy(update={"steady": Limits(min_count=30, min_ms=1500)})


def processes_of(directory: Path) -> list[int]:
    """Pids of the supervisor of a launch and of its children."""
    supervisor = int((directory / "runner.pid").read_text().split()[0])
    found = [supervisor]
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == supervisor:
            found.append(int(entry.parent.name))
    return found


@pytest.mark.parametrize("victim", ["worker", "supervisor"])
def test_a_runner_that_is_killed_costs_its_launch_and_nothing_else(
    run_bench: Bench, cache: Path, store: Store, fast: Path, victim: str
) -> None:
    runs = cache / "device" / "local" / "runs"

    def kill() -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            for pid_file in runs.glob("*/1/runner.pid"):
                samples = pid_file.with_name("samples.bin")
                if samples.exists() and samples.stat().st_size and "first" in (pid_file.parent / "events.jsonl").read_text():
                    supervisor, *children = processes_of(pid_file.parent)
                    if children:
                        os.kill(children[0] if victim == "worker" else supervisor, signal.SIGKILL)
                        return
            time.sleep(0.02)

    killer = threading.Thread(target=kill)
    killer.start()
    (record,) = run_bench(fast, how=LONG).records
    killer.join()
    assert [launch.valid for launch in record.launches] == [True, False, True]
    assert record.valid
    assert any("1 of 3 launches" in warning for warning in record.warnings)
    if victim == "worker":
        assert record.launches[1].error is not None
        assert (record.launches[1].error["code"], record.launches[1].error["signal"]) == ("worker_died", signal.SIGKILL)
    # what it had sampled by then is measured, and kept
    assert any(row[0] == 1 for row in store.samples(record.id))


def test_a_launch_that_hangs_after_one_that_went_well_costs_that_launch(run_bench: Bench, cache: Path, fast: Path) -> None:
    runs = cache / "device" / "local" / "runs"

    def hang() -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            for pid_file in runs.glob("*/1/runner.pid"):
                events = pid_file.with_name("events.jsonl")
                _, *children = processes_of(pid_file.parent) or [0]
                if children and events.exists() and "first" in events.read_text():
                    os.kill(children[0], signal.SIGSTOP)
                    return
            time.sleep(0.02)

    hanging = threading.Thread(target=hang)
    hanging.start()
    (record,) = run_bench(fast, how=LONG.model_copy(update={"max_seconds": 5.0})).records
    hanging.join()
    assert [launch.valid for launch in record.launches] == [True, False, True]
    assert record.launches[1].error is not None
    assert record.launches[1].error["code"] == "time_limit"
    assert record.valid


def test_a_launch_over_its_time_is_ended_and_recorded(run_bench: Bench, fast: Path) -> None:
    how = BRIEF.model_copy(update={"steady": Limits(min_count=30, min_ms=60_000), "max_seconds": 1.0})
    (record,) = run_bench(fast, how=how).records
    assert not record.valid
    assert len(record.launches) == 1
    assert "time_limit" in record.invalid_because[0]
