"""Ctrl-C, `kill` and a host that dies, with real signals to a real process; and going on afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_runner.results.store import Store

#: a parent that ignores SIGINT hands that down, so it is set here
MAIN = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from edgedeploy.cli import main; main(sys.argv[1:])"
)
#: long enough to be stopped in the middle of
SLOW = ["--launches", "3", "--warmup-count", "1", "--warmup-ms", "0", "--min-ms"]
#: and long enough to be found running by a bench that is started afterwards
VERY_SLOW_MS = "4000"


def edgedeploy(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MAIN, *arguments]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def stopped(
    request: pytest.FixtureRequest, fast: Path, tmp_path: Path, cache: Path
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A bench that is in the middle of its second launch, and the directory of that launch on the device."""
    process = edgedeploy("bench", str(fast), *SLOW, getattr(request, "param", "1000"), "--json", cwd=tmp_path)
    runs = cache / "device" / "local" / "runs"
    until = time.monotonic() + 60
    directory = None
    while directory is None and time.monotonic() < until and process.poll() is None:
        for events in runs.glob("*/1/events.jsonl"):
            if '"warmup"' in events.read_text():
                directory = events.parent
        time.sleep(0.02)
    assert directory is not None, process.communicate()
    try:
        yield process, directory
    finally:
        process.kill()
        process.communicate()


def alive(directory: Path) -> bool:
    """Whether a process still has the launch's plan in its arguments."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if os.fsencode(directory) in entry.read_bytes():
                return True
        except OSError:
            continue
    return False


def resumed(store: Store, cwd: Path) -> tuple[str, dict[str, object]]:
    (experiment,) = (path.stem for path in (store.root / "experiments").glob("*.json"))
    process = edgedeploy("bench", "--resume", experiment, "--json", cwd=cwd)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    return experiment, json.loads(stdout)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_bench_ends_its_launch_keeps_what_it_has_and_goes_on(
    stopped: tuple[subprocess.Popen[str], Path], tmp_path: Path, number: signal.Signals
) -> None:
    process, directory = stopped
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    said = json.loads(stdout)
    assert said["error"]["kind"] == "interrupted"
    assert not alive(directory)

    store = Store(tmp_path / "runs")
    (partial_file,) = store.root.glob("*/run.partial.json")
    run = partial_file.parent.name
    assert said["experiment"] == run.partition(".")[0]
    assert said["resume"] == f"edgedeploy bench --resume {said['experiment']}"
    assert said["resume"] in stderr
    partial = store.read_partial(run)
    assert partial is not None
    assert store.ids() == []
    first, cut = partial.launches
    assert first.valid
    assert not cut.valid
    assert cut.steady_count > 0
    assert "stopped" in cut.invalid_because[0]

    experiment, document = resumed(store, tmp_path)
    assert document["experiment"] == experiment
    record = store.read(run)
    # what was there is there unchanged; the position that was cut off has a new launch beside the old one
    assert record.launches[:2] == partial.launches
    assert [(launch.index, launch.position, launch.valid) for launch in record.launches] == [
        (0, 0, True), (1, 1, False), (2, 1, True), (3, 2, True),
    ]  # fmt: skip
    assert record.valid
    assert record.median_ms is not None
    assert record.median_ms.launches == 3
    assert {row[0] for row in store.samples(run)} == {0, 1, 2, 3}
    assert list(store.root.glob("*/run.partial.json")) == []


@pytest.mark.parametrize("stopped", [VERY_SLOW_MS], indirect=True)
def test_a_launch_whose_host_died_is_fetched_when_the_experiment_goes_on(
    stopped: tuple[subprocess.Popen[str], Path], tmp_path: Path, fast: Path
) -> None:
    process, directory = stopped
    process.kill()
    process.communicate()
    # the runner is on its own, as it would be when a cable is pulled
    assert alive(directory)
    store = Store(tmp_path / "runs")
    # and nothing else is to be measured beside it
    other = edgedeploy("bench", str(fast), "--quick", cwd=tmp_path)
    _, stderr = other.communicate(timeout=60)
    assert other.returncode == 2
    assert "edgedeploy bench --resume" in stderr
    resumed(store, tmp_path)
    (run,) = store.ids()
    record = store.read(run)
    assert [(launch.index, launch.position, launch.valid) for launch in record.launches] == [
        (0, 0, True), (1, 1, True), (2, 2, True),
    ]  # fmt: skip
    assert "the host had gone away" in record.launches[1].flags[0]
    assert [bool(launch.flags) for launch in record.launches] == [False, True, False]
