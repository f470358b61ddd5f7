"""Runs that are ended: by a signal, by a limit, by hand; and runs that go on alone."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.device_runner.native.identity import hungry, slow
from tests.device_runner.native.support import (
    ORDER,
    RUNTIMES,
    Edgebench,
    Json,
    Ran,
    Started,
    base_plan,
    endless,
    image_plan,
    is_running,
    json_of,
    limits,
    read_samples,
    tensor,
    wait_for,
    write_plan,
)

Start = Callable[[Path, Json], Started]


def steady_since(directory: Path, count: int = 1) -> bool:
    """Whether that many steady samples are there, read while the worker writes."""
    data = (directory / "samples.bin").read_bytes()
    capacity = int.from_bytes(data[8:16], "little")
    records = np.frombuffer(data[32 + 16 * capacity :], "<i8").reshape(-1, 2)
    return int((records[:, 1] != 0).sum()) >= count


def in_steady(start: Start, directory: Path, plan: Json) -> Started:
    run = start(directory, endless(plan))
    run.until("warmup")
    wait_for(lambda: steady_since(directory, 5), "steady samples")
    return run


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_dead_worker_is_reported_and_its_samples_are_kept(
    start: Start, models: Path, tmp_path: Path, runtime: str, number: signal.Signals
) -> None:
    run = in_steady(start, tmp_path, image_plan(tmp_path, models, runtime))
    os.kill(run.events[0]["pid"], number)
    ran = run.finish()
    error = ran.failed("worker_died")
    assert (error["signal"], error["phase"]) == (number, "steady")
    assert ran["rusage"]["peak_rss_kb"] > 1000
    samples = read_samples(tmp_path)
    assert len(samples.steady) >= 5
    assert len(samples.warmup) == ran["warmup"]["count"]
    # what is left has what was measured, and no room for more
    assert (samples.warmup_capacity, samples.steady_capacity) == (len(samples.warmup), len(samples.steady))


def test_the_worker_dies_with_its_supervisor(start: Start, models: Path, tmp_path: Path) -> None:
    run = in_steady(start, tmp_path, image_plan(tmp_path, models, "onnx"))
    worker = run.events[0]["pid"]
    assert worker != run.process.pid
    run.process.kill()
    run.process.wait()
    wait_for(lambda: not is_running(worker), "the worker to die")
    assert len(read_samples(tmp_path).steady) >= 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_cancels(start: Start, models: Path, tmp_path: Path, number: signal.Signals) -> None:
    run = in_steady(start, tmp_path, image_plan(tmp_path, models, "tflite"))
    run.process.send_signal(number)
    ran = run.finish()
    assert ran.failed("cancelled")["phase"] == "steady"
    assert len(read_samples(tmp_path).steady) >= 5
    assert not is_running(run.events[0]["pid"])


def test_a_reader_that_goes_away_ends_a_run_in_the_foreground(start: Start, models: Path, tmp_path: Path) -> None:
    run = in_steady(start, tmp_path, image_plan(tmp_path, models, "tflite"))
    assert run.process.stdout is not None
    run.process.stdout.close()
    assert run.process.wait(timeout=30) == 6
    wait_for(lambda: not is_running(run.events[0]["pid"]), "the worker to die")


def test_a_reader_that_dawdles_does_not_lift_the_limits(edgebench: Edgebench, models: Path, tmp_path: Path) -> None:
    plan = {**endless(image_plan(tmp_path, models, "onnx")), "max_seconds": 2.5}
    write_plan(tmp_path, plan)
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
    os.write(write_end, b" " * 1000)  # too little room for a line of progress to be let in
    process = subprocess.Popen(edgebench.command("--plan", tmp_path / "plan.json"), stdout=write_end, stderr=subprocess.DEVNULL)
    os.close(write_end)
    assert process.wait(timeout=30) == 5
    with os.fdopen(read_end, "rb") as pipe:
        assert json_of(pipe.read().strip() + b"\n")[-1]["code"] == "time_limit"


def one_number(directory: Path, model: str, **more: object) -> Json:
    np.ones(1, np.float32).tofile(directory / "x.bin")
    return base_plan(
        "onnx", model, [tensor("x", "float32", [1], file="x.bin")], [tensor("y", "float32", [])], cases=1,
        output_cases=1, **more,
    )  # fmt: skip


def test_the_time_limit(edgebench: Edgebench, models: Path, tmp_path: Path) -> None:
    plan = {**endless(image_plan(tmp_path, models, "executorch")), "max_seconds": 1.0}
    ran = edgebench.run(tmp_path, plan)
    assert ran.failed("time_limit")["phase"] == "steady"
    assert len(read_samples(tmp_path).steady) > 0


def test_the_time_limit_in_the_middle_of_a_call(edgebench: Edgebench, tmp_path: Path) -> None:
    slow(tmp_path / "slow.onnx")
    ran = edgebench.run(tmp_path, one_number(tmp_path, "slow.onnx", max_seconds=1.0, load_cold=True))
    assert ran.failed("time_limit")["phase"] in ("load", "first", "warmup")


def test_the_memory_limit(edgebench: Edgebench, tmp_path: Path) -> None:
    hungry(tmp_path / "hungry.onnx", 300 << 20)
    ran = edgebench.run(tmp_path, one_number(tmp_path, "hungry.onnx", max_memory_mb=200))
    error = ran.failed("memory_limit")
    assert "200 allowed" in error["message"]
    assert ran["rusage"]["peak_rss_kb"] < 2 << 20


def test_progress_comes_about_once_a_second(start: Start, models: Path, tmp_path: Path) -> None:
    run = start(tmp_path, endless(image_plan(tmp_path, models, "onnx")))
    lines = [run.until("progress") for _ in range(3)]
    run.process.terminate()
    run.finish().failed("cancelled")
    assert all(set(line) == {"event", "phase", "warmup_samples", "steady_samples", "rss_kb"} for line in lines)
    assert lines[-1]["phase"] == "steady"
    assert lines[-1]["steady_samples"] > lines[-2]["steady_samples"] >= 0
    assert lines[-1]["rss_kb"] > 1000


def test_progress_says_where_a_long_load_is(edgebench: Edgebench, tmp_path: Path) -> None:
    slow(tmp_path / "slow.onnx")
    ran = edgebench.run(tmp_path, one_number(tmp_path, "slow.onnx", max_seconds=2.6))
    assert [event["phase"] for event in ran.events if event["event"] == "progress"]


@pytest.fixture
def detached(edgebench: Edgebench) -> Iterator[Callable[[Path, Json], int]]:
    """Starts a detached run; whatever is left of it ends with the test."""
    pids: list[int] = []

    def begin(directory: Path, plan: Json) -> int:
        write_plan(directory, plan)
        ran = edgebench.call("--plan", directory / "plan.json", "--detach")
        assert (ran.code, ran.names) == (0, ["detached"])
        pids.append(ran["detached"]["pid"])
        return pids[-1]

    yield begin
    for pid in pids:
        if is_running(pid):
            os.killpg(pid, signal.SIGKILL)


def poll(edgebench: Edgebench, directory: Path) -> Json:
    ran = edgebench.call("--poll", directory)
    assert (ran.code, ran.names) == (0, ["status"])
    assert set(ran["status"]) == {"event", "alive", "phase", "warmup_samples", "steady_samples", "events_bytes"}
    return ran["status"]


def events(directory: Path) -> Ran:
    found = json_of(directory / "events.jsonl")
    code = {"cancelled": 6, "worker_died": 4}.get(found[-1].get("code", ""), 0) if found else -1
    return Ran(code, found, (directory / "stderr.txt").read_text(), directory)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_detached_run_goes_its_way(
    edgebench: Edgebench, models: Path, tmp_path: Path, detached: Callable[[Path, Json], int], runtime: str
) -> None:
    pid = detached(tmp_path, image_plan(tmp_path, models, runtime))
    assert int((tmp_path / "runner.pid").read_text()) == pid
    wait_for(lambda: not poll(edgebench, tmp_path)["alive"], "the run to end")
    ran = events(tmp_path)
    assert ran.names == ORDER
    status = poll(edgebench, tmp_path)
    assert status["phase"] == "end"
    assert status["warmup_samples"] == ran["warmup"]["count"]
    assert status["steady_samples"] == ran["steady"]["count"]
    assert status["events_bytes"] == (tmp_path / "events.jsonl").stat().st_size


def test_a_detached_run_holds_nothing_of_its_caller(
    edgebench: Edgebench, models: Path, tmp_path: Path, detached: Callable[[Path, Json], int]
) -> None:
    read_end, write_end = os.pipe()
    write_plan(tmp_path, endless(image_plan(tmp_path, models, "onnx")))
    # as an SSH server does: the call is over when nobody holds its output any more
    done = subprocess.run(
        edgebench.command("--plan", tmp_path / "plan.json", "--detach"), capture_output=True, pass_fds=[write_end],
        timeout=30, check=True,
    )  # fmt: skip
    os.close(write_end)
    pid = json_of(done.stdout)[0]["pid"]
    try:
        assert os.read(read_end, 1) == b"", "the pipe is closed: the run does not have it"
        assert os.getsid(pid) == pid
        assert is_running(pid)
        os.kill(pid, signal.SIGHUP)
    finally:
        os.close(read_end)
        edgebench.call("--cancel", tmp_path)
    assert not is_running(pid)


def test_poll_and_cancel(edgebench: Edgebench, models: Path, tmp_path: Path, detached: Callable[[Path, Json], int]) -> None:
    pid = detached(tmp_path, endless(image_plan(tmp_path, models, "tflite")))
    wait_for(lambda: poll(edgebench, tmp_path)["steady_samples"] > 0, "steady samples")
    status = poll(edgebench, tmp_path)
    assert (status["alive"], status["phase"]) == (True, "steady")
    worker = events(tmp_path)["hello"]["pid"]
    ran = edgebench.call("--cancel", tmp_path)
    assert ran.code == 0
    assert ran["status"]["alive"] is False
    assert not is_running(pid)
    assert not is_running(worker)
    assert events(tmp_path).failed("cancelled")["phase"] == "steady"
    assert len(read_samples(tmp_path).steady) >= status["steady_samples"]
    assert poll(edgebench, tmp_path)["phase"] == "error"
    assert edgebench.call("--cancel", tmp_path).code == 0, "fine when it has ended"


def test_cancel_when_the_supervisor_does_not_answer(
    edgebench: Edgebench, models: Path, tmp_path: Path, detached: Callable[[Path, Json], int]
) -> None:
    pid = detached(tmp_path, endless(image_plan(tmp_path, models, "tflite")))
    wait_for(lambda: poll(edgebench, tmp_path)["steady_samples"] > 0, "steady samples")
    # samples are the worker's own doing: its first line may still wait for a supervisor that has no CPU
    wait_for(lambda: "hello" in events(tmp_path).names, "the worker's first line")
    worker = events(tmp_path)["hello"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    assert edgebench.call("--cancel", tmp_path)["status"]["alive"] is False
    wait_for(lambda: not is_running(worker), "the worker to die")
    events(tmp_path).failed("cancelled")


def test_poll_after_the_supervisor_was_killed(
    edgebench: Edgebench, models: Path, tmp_path: Path, detached: Callable[[Path, Json], int]
) -> None:
    pid = detached(tmp_path, endless(image_plan(tmp_path, models, "onnx")))
    wait_for(lambda: poll(edgebench, tmp_path)["steady_samples"] > 0, "steady samples")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not poll(edgebench, tmp_path)["alive"], "the run to be seen dead")
    status = poll(edgebench, tmp_path)
    assert status["phase"] == "steady", "no last line: it was killed"
    assert status["steady_samples"] > 0


def test_one_run_a_directory(edgebench: Edgebench, models: Path, tmp_path: Path, detached: Callable[[Path, Json], int]) -> None:
    plan = endless(image_plan(tmp_path, models, "onnx"))
    pid = detached(tmp_path, plan)
    wait_for(lambda: poll(edgebench, tmp_path)["steady_samples"] > 0, "steady samples")
    edgebench.run(tmp_path, plan).failed("busy")
    edgebench.call("--plan", tmp_path / "plan.json", "--detach").failed("busy")
    assert is_running(pid)
    assert poll(edgebench, tmp_path)["steady_samples"] > 0, "the other run's samples are untouched"


def test_a_wrong_plan_is_not_detached(edgebench: Edgebench, models: Path, tmp_path: Path) -> None:
    write_plan(tmp_path, {**image_plan(tmp_path, models, "onnx"), "threads": 0})
    edgebench.call("--plan", tmp_path / "plan.json", "--detach").failed("plan_invalid")
    assert not (tmp_path / "runner.pid").exists()
    assert not (tmp_path / "events.jsonl").exists()


def test_a_number_left_in_the_pid_file_is_nobody(edgebench: Edgebench, tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (tmp_path / "runner.pid").write_text(f"{stranger.pid}\n")
        assert poll(edgebench, tmp_path)["alive"] is False
        edgebench.call("--cancel", tmp_path)
        time.sleep(0.1)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_poll_and_cancel_where_there_is_nothing(edgebench: Edgebench, tmp_path: Path) -> None:
    status = poll(edgebench, tmp_path)
    assert (status["alive"], status["phase"], status["events_bytes"]) == (False, "none", 0)
    assert edgebench.call("--cancel", tmp_path).code == 0
    edgebench.call("--poll", tmp_path / "nowhere").failed("plan_missing")
    edgebench.call("--cancel", tmp_path / "nowhere").failed("plan_missing")
    for name in ("runner.pid", "events.jsonl", "samples.bin"):
        os.mkfifo(tmp_path / name)
    assert poll(edgebench, tmp_path)["alive"] is False


def test_poll_of_nonsense(edgebench: Edgebench, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_bytes(b'{"event": 3}\nnot json\n{"event":"load"}\n{"event":"warm')
    (tmp_path / "samples.bin").write_bytes(b"EDGS\x01\0\0\0" + b"\xff" * 60)
    status = poll(edgebench, tmp_path)
    assert (status["phase"], status["warmup_samples"]) == ("adapters", 0)
    (tmp_path / "samples.bin").write_bytes(b"EDGS\x01\0\0\0" + (1 << 31).to_bytes(8, "little") * 3)
    assert poll(edgebench, tmp_path)["steady_samples"] == 0


def test_the_cpu_is_not_given_up_between_samples(edgebench: Edgebench, models: Path, tmp_path: Path) -> None:
    """With a real runtime: no sleep and no lock that waits between two calls. What else is not done there: test_quiet."""
    plan = image_plan(tmp_path, models, "onnx", warmup=limits(0, 0), steady=limits(2000, 2000), write_outputs=None)
    few = edgebench.run(tmp_path, {**plan, "steady": limits(1, 1)}).done()["rusage"]["voluntary_switches"]
    many = edgebench.run(tmp_path, plan).done()["rusage"]["voluntary_switches"]
    assert many - few < 200
