"""The app's Java core and its library on a JVM of this host: the same plan gives the same record as edgebench."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_runner.app import desktop
from tests.device_runner.native.conftest import edgebench, runner_bundle  # noqa: F401
from tests.device_runner.native.support import (
    ORDER,
    RUNTIMES,
    Edgebench,
    Json,
    Ran,
    endless,
    expected,
    image_plan,
    limits,
    output,
    read_samples,
    text_plan,
    wait_for,
    write_plan,
)

PLANS = {"image": image_plan, "text": text_plan}


class App:
    """The app on a JVM, called as edgebench is."""

    def command(self, directory: Path, *what: str) -> list[str]:
        return desktop.command(directory, *what)

    def call(self, directory: Path, *what: str) -> Ran:
        done = subprocess.run(self.command(directory, *what), capture_output=True, timeout=120, check=False)
        events = [json.loads(line) for line in done.stdout.decode("ascii").splitlines()]
        return Ran(done.returncode, events, done.stderr.decode("utf-8", "replace"), directory)

    def run(self, directory: Path, plan: Any) -> Ran:
        write_plan(directory, plan)
        return self.call(directory)


@pytest.fixture(scope="module")
def app() -> App:
    return App()


def made(directory: Path, models: Path, name: str, runtime: str, **more: Any) -> Json:
    directory.mkdir()
    return PLANS[name](directory, models, runtime, **more)


def shape_of(event: Json) -> Json:
    """An event without what differs from one run to the next: times, and what a process has used."""
    measured = {"pid", "count", "start_ns", "elapsed_ns", "warmup_samples", "steady_samples", "cold_reason"}
    kept = {key: value for key, value in event.items() if key not in measured}
    return {
        key: type(value).__name__ if key.endswith(("_ns", "_kb", "_ms", "_switches")) else value for key, value in kept.items()
    }


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", ["image", "text"])
def test_the_same_plan_gives_the_same_record(
    app: App, edgebench: Edgebench, models: Path, tmp_path: Path, runtime: str, name: str  # noqa: F811
) -> None:  # fmt: skip
    plan = made(tmp_path / "native", models, name, runtime, threads=2)
    theirs = edgebench.run(tmp_path / "native", plan).done()
    made(tmp_path / "app", models, name, runtime)
    ours = app.run(tmp_path / "app", plan).done()
    assert ours.names == theirs.names
    assert [name for name in ours.names if name != "output"] == [name for name in ORDER if name != "output"]
    without = [[event for event in ran.events if event["event"] != "progress"] for ran in (ours, theirs)]
    assert [shape_of(event) for event in without[0]] == [shape_of(event) for event in without[1]]
    for k, wanted in enumerate(expected(models, name, runtime)):
        np.testing.assert_array_equal(output(ours, k), output(theirs, k))
        np.testing.assert_allclose(output(ours, k)[:, 0], wanted, rtol=1e-4, atol=1e-5)
    samples = read_samples(tmp_path / "app")
    assert len(samples.steady) == ours["steady"]["count"] == ours["end"]["steady_samples"] >= 10
    # what went out is what is kept
    assert [json.loads(line) for line in (tmp_path / "app/events.jsonl").read_text().splitlines()] == ours.events


def test_several_streams(app: App, models: Path, tmp_path: Path) -> None:
    phase = limits(5, 1000, 1)
    ran = app.run(tmp_path / "a", made(tmp_path / "a", models, "image", "onnx", streams=2, warmup=phase, steady=phase)).done()
    assert ran["steady"]["count"] >= 10


def test_a_cold_load_is_not_possible_and_said(app: App, models: Path, tmp_path: Path) -> None:
    ran = app.run(tmp_path / "a", made(tmp_path / "a", models, "image", "onnx", load_cold=True)).done()
    assert (ran["load"]["load_cold_ns"], ran["load"]["cold_reason"]) == (None, "an app cannot fork")


def test_questions(app: App, edgebench: Edgebench, models: Path, tmp_path: Path) -> None:  # noqa: F811
    ours, theirs = app.call(tmp_path, "hello")["hello"], edgebench.call("--hello")["hello"]
    assert {**ours, "pid": 0} == {**theirs, "pid": 0}
    for runtime, suffix in zip(RUNTIMES, ("onnx", "tflite", "pte"), strict=True):
        model = models / f"text.{suffix}"
        ours = app.call(tmp_path, "describe", str(model), runtime)["describe"]
        assert ours == edgebench.call("--describe", model, "--runtime", runtime)["describe"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"threads": 0}, "plan_invalid"),
        ({"colour": "red"}, "plan_invalid"),
        ({"model": "../image.onnx"}, "path_outside"),
        ({"model": "/etc/passwd"}, "path_outside"),
        ({"model": "absent.onnx"}, "model_missing"),
        ({"model": "plan.json"}, "model_invalid"),
        ({"max_seconds": "long"}, "plan_invalid"),
        ({"cases": 3, "output_cases": 3}, "input_size"),
    ],
)
def test_a_plan_that_is_wrong_is_refused_as_edgebench_does(
    app: App, edgebench: Edgebench, models: Path, tmp_path: Path, change: Json, code: str  # noqa: F811
) -> None:  # fmt: skip
    plan = {**made(tmp_path / "a", models, "image", "onnx"), **change}
    ours = app.run(tmp_path / "a", plan)
    theirs = edgebench.run(tmp_path / "a", plan)
    assert ours.failed(code) == theirs.failed(code)
    assert ours.code == theirs.code


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[" * 100_000, b'{"protocol":1}', b"\xff\xfe", b'{"max_seconds":1e999}', b" " * 5_000_000]
)
def test_a_plan_that_is_none(app: App, tmp_path: Path, text: bytes) -> None:
    app.run(tmp_path, text).failed("plan_invalid")


def test_no_plan(app: App, tmp_path: Path) -> None:
    app.call(tmp_path).failed("plan_missing")
    app.call(tmp_path / "absent").failed("plan_missing")


def test_a_plan_behind_a_link_that_leads_out(app: App, models: Path, tmp_path: Path) -> None:
    plan = made(tmp_path / "a", models, "image", "onnx")
    (tmp_path / "a/image.onnx").rename(tmp_path / "elsewhere.onnx")
    (tmp_path / "a/image.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    app.run(tmp_path / "a", plan).failed("path_outside")


def test_limits(app: App, models: Path, tmp_path: Path) -> None:
    plan = made(tmp_path / "a", models, "image", "onnx")
    ran = app.run(tmp_path / "a", {**endless(plan), "max_seconds": 2})
    assert ran.failed("time_limit")["phase"] == "steady"
    assert ran["progress"]["steady_samples"] > 0
    assert ran["rusage"]["peak_rss_kb"] > 1000
    assert len(read_samples(tmp_path / "a").steady) > 0
    app.run(tmp_path / "a", {**endless(plan), "max_memory_mb": 4}).failed("memory_limit")


def begun(app: App, directory: Path, plan: Json) -> tuple[subprocess.Popen[str], list[Json]]:
    """A run that takes steady samples, and what it has said."""
    write_plan(directory, endless(plan))
    process = subprocess.Popen(app.command(directory), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    events: list[Json] = []
    assert process.stdout is not None
    for line in process.stdout:
        events.append(json.loads(line))
        if events[-1]["event"] == "warmup":
            break
    return process, events


def rest_of(process: subprocess.Popen[str], events: list[Json], directory: Path) -> Ran:
    out, err = process.communicate(timeout=60)
    return Ran(process.returncode, events + [json.loads(line) for line in out.splitlines()], err, directory)


def test_a_worker_that_dies_is_reported_and_what_it_measured_is_there(app: App, models: Path, tmp_path: Path) -> None:
    process, events = begun(app, tmp_path / "a", made(tmp_path / "a", models, "image", "tflite"))
    os.kill(events[0]["pid"], signal.SIGKILL)
    error = rest_of(process, events, tmp_path / "a").failed("worker_died")
    assert (error["signal"], error["phase"]) == (9, "steady")
    assert len(read_samples(tmp_path / "a").steady) > 0


def test_a_worker_dies_with_whoever_watches_it(app: App, models: Path, tmp_path: Path) -> None:
    process, events = begun(app, tmp_path / "a", made(tmp_path / "a", models, "image", "onnx"))
    process.kill()
    process.communicate()
    wait_for(lambda: not Path(f"/proc/{events[0]['pid']}/cmdline").exists(), "the worker to end")


def test_a_cancelled_run(app: App, models: Path, tmp_path: Path) -> None:
    process, events = begun(app, tmp_path / "a", made(tmp_path / "a", models, "image", "onnx"))
    time.sleep(0.2)
    (tmp_path / "a/cancel").touch()
    ran = rest_of(process, events, tmp_path / "a")
    assert ran.failed("cancelled")["phase"] == "steady"
    wait_for(lambda: not Path(f"/proc/{events[0]['pid']}/cmdline").exists(), "the worker to end")


def test_one_run_at_a_time_in_a_directory(app: App, models: Path, tmp_path: Path) -> None:
    plan = made(tmp_path / "a", models, "image", "onnx")
    process, events = begun(app, tmp_path / "a", plan)
    kept = (tmp_path / "a/events.jsonl").read_text()
    app.call(tmp_path / "a").failed("busy")
    assert (tmp_path / "a/events.jsonl").read_text().startswith(kept)
    (tmp_path / "a/cancel").touch()
    rest_of(process, events, tmp_path / "a").failed("cancelled")
