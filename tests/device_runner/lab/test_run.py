"""`lab run` for real: processes, signals, a device that is this host and boards behind sshd."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from device_runner.lab.place import Place
from device_runner.lab.queue import Job
from device_runner.lab.sqlite_queue import SqliteQueue
from device_runner.results.store import Store

#: a parent that ignores SIGINT hands that down, so it is set here
MAIN = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from edgedeploy.cli import main; main(sys.argv[1:])"
)
#: a launch takes a moment, and one that is to be met in its midst a second
BRIEF = {"mode": "quick", "warmup_count": 1, "warmup_ms": 0, "min_count": 5, "min_ms": 5}
SLOW = BRIEF | {"min_ms": 1000}


class Lab:
    """A directory with a plan, a lab and a store of its own."""

    def __init__(self, root: Path, devices: Path | None = None) -> None:
        self.root, self.place = root, Place(root / "lab")
        self.store = Store(root / "runs")
        self._environment = {**os.environ, "EDGEDEPLOY_LAB": str(self.place.root)}
        if devices is not None:
            self._environment["EDGEDEPLOY_DEVICES"] = str(devices)
        self._processes: list[subprocess.Popen[str]] = []

    def plan(self, *entries: Mapping[str, Any], name: str = "plan", **more: Any) -> Path:
        """Written as JSON, which is YAML."""
        file = self.root / f"{name}.yaml"
        file.write_text(json.dumps({"name": name, "experiments": list(entries), **more}))
        return file

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, "lab", *map(str, arguments)], cwd=self.root, env=self._environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._processes.append(process)
        return process

    def call(self, *arguments: str | Path, code: int = 0) -> str:
        """stdout of a command that ends with that exit code."""
        process = self.start(*arguments)
        stdout, stderr = process.communicate(timeout=180)
        assert process.returncode == code, f"{stdout}\n{stderr}"
        return stdout

    def jobs(self) -> list[Job]:
        with contextlib.closing(SqliteQueue(self.place.queue)) as queue:
            return queue.jobs()

    def until(self, what: Callable[[list[Job]], bool]) -> list[Job]:
        """The jobs, once they are so."""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if self.place.queue.is_file() and what(jobs := self.jobs()):
                return jobs
            time.sleep(0.05)
        raise AssertionError([process.poll() for process in self._processes])

    def in_a_launch(self) -> list[Job]:
        """The jobs, once one of them has a launch on disk and is at another."""

        def begun(jobs: list[Job]) -> bool:
            return any(
                job.state == "running" and list((self.store.root / f"{job.experiment}.00").glob("run.partial.json"))
                for job in jobs
            )

        return self.until(begun)

    def workers(self) -> list[int]:
        """The worker processes of this lab."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = entry.read_bytes().split(b"\0")
                if b"device_runner.lab.worker_process" in words and os.fsencode(self.place.queue) in words:
                    found.append(int(entry.parent.name))
        return found

    def end(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()
        end = time.monotonic() + 30
        while self.workers() and time.monotonic() < end:
            time.sleep(0.05)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.end()


def check_nothing_lost_or_doubled(lab: Lab, experiments: int, launches: int = 3) -> None:
    """Each job has its runs, each run its launches, and there is no other run."""
    jobs = lab.jobs()
    assert [job.state for job in jobs] == ["done"] * experiments, [(job.state, job.reason) for job in jobs]
    assert sorted(run for job in jobs for run in job.runs) == lab.store.ids()
    assert not list(lab.store.root.glob("*/run.partial.json"))
    for run in lab.store.ids():
        record = lab.store.read(run)
        assert record.valid
        counted = [launch.position for launch in record.launches if launch.valid]
        assert len(counted) == len(set(counted)) == launches


def test_a_plan_is_worked_through_and_asked_again_costs_nothing(lab: Lab, fast: Path, slow: Path) -> None:
    plan = lab.plan(
        {"artifacts": [str(fast), str(slow)], "devices": ["local"], "repeats": 2},
        {"artifacts": [str(fast)], "devices": ["loc*"]},
        plan=BRIEF,
    )  # fmt: skip
    document = json.loads(lab.call("run", plan, "--json"))
    assert (document["plan"], document["done"], document["of"]) == ("plan", 3, 3)
    check_nothing_lost_or_doubled(lab, 3)
    # the two are compared, so they are interleaved, as in one bench
    records = [lab.store.read(run) for run in document["jobs"][0]["runs"]]
    assert len(records) == 2
    assert [run for run, _ in records[0].experiment.order] == [run for run, _ in records[1].experiment.order]
    before = lab.store.ids()
    assert json.loads(lab.call("run", plan, "--json"))["done"] == 3
    assert lab.store.ids() == before
    assert "3 of 3" in lab.call("run", plan, "--again")
    assert len(lab.store.ids()) == 2 * len(before)


def test_status_says_what_there_is(lab: Lab, fast: Path) -> None:
    assert "there is no lab" in json.loads(lab.call("status", "--json", code=2))["error"]["message"]
    lab.call("run", lab.plan({"artifacts": [str(fast)], "devices": ["local"]}, plan=BRIEF))
    document = json.loads(lab.call("status", "--json"))
    assert not document["is_run"]
    assert [device["name"] for device in document["devices"]] == ["local"]
    assert document["plans"][0]["counts"] == {"done": 1}
    assert "no process runs this lab" in lab.call("status")
    assert "1 done" in lab.call("watch")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_lab_keeps_what_it_has_and_the_same_command_goes_on(lab: Lab, fast: Path, number: signal.Signals) -> None:
    plan = lab.plan({"artifacts": [str(fast)], "devices": ["local"], "repeats": 2}, plan=SLOW)
    process = lab.start("run", plan, "--lab", str(lab.place.root))
    experiment = next(job.experiment for job in lab.in_a_launch() if job.state == "running")
    watching = lab.start("watch", "--lab", str(lab.place.root))
    assert watching.stdout is not None
    assert watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    assert "the lab goes on" in watching.communicate(timeout=60)[1]
    assert (watching.returncode, process.poll()) == (130, None)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert f"edgedeploy lab run {plan} --lab {lab.place.root}" in stderr
    assert lab.workers() == []
    assert {job.state for job in lab.jobs()} <= {"queued", "done"}
    lab.call("run", plan)
    assert experiment in {job.experiment for job in lab.jobs()}
    check_nothing_lost_or_doubled(lab, 2)


def test_a_killed_lab_goes_on_where_it_was(lab: Lab, fast: Path) -> None:
    plan = lab.plan({"artifacts": [str(fast)], "devices": ["local"], "repeats": 2}, plan=SLOW)
    process = lab.start("run", plan)
    experiment = next(job.experiment for job in lab.in_a_launch() if job.state == "running")
    process.kill()
    process.communicate()
    # at once: the worker of the lab that was killed is still ending
    lab.call("run", plan)
    assert experiment in {job.experiment for job in lab.jobs()}
    check_nothing_lost_or_doubled(lab, 2)


def test_a_killed_worker_has_its_job_done_again_by_the_next(lab: Lab, fast: Path) -> None:
    plan = lab.plan({"artifacts": [str(fast)], "devices": ["local"], "repeats": 2}, plan=SLOW)
    process = lab.start("run", plan)
    job = next(job for job in lab.in_a_launch() if job.state == "running")
    (worker,) = lab.workers()
    os.kill(worker, signal.SIGKILL)
    process.communicate(timeout=120)
    assert process.returncode == 0
    check_nothing_lost_or_doubled(lab, 2)
    (found,) = (each for each in lab.jobs() if each.id == job.id)
    assert (found.experiment, found.crashes) == (job.experiment, 1)


def test_a_killed_lab_and_its_killed_worker_leave_a_launch_that_is_fetched(lab: Lab, fast: Path) -> None:
    plan = lab.plan({"artifacts": [str(fast)], "devices": ["local"]}, plan=SLOW | {"min_ms": 3000})
    process = lab.start("run", plan)
    lab.in_a_launch()
    workers = lab.workers()
    process.kill()
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    process.communicate()
    lab.call("run", plan)
    check_nothing_lost_or_doubled(lab, 1)


def test_pause_stops_the_launch_and_resume_goes_on_with_it(lab: Lab, fast: Path) -> None:
    plan = lab.plan({"artifacts": [str(fast)], "devices": ["local"]}, plan=SLOW | {"min_ms": 4000})
    process = lab.start("run", plan)
    lab.in_a_launch()
    lab.call("pause", "local", "--reason", "somebody needs it")
    lab.until(lambda jobs: all(job.state == "queued" for job in jobs))
    state = json.loads(lab.call("status", "--json"))["devices"][0]
    assert (state["state"], state["hold_reason"]) == ("paused", "somebody needs it")
    lab.call("resume", "local")
    process.communicate(timeout=120)
    assert process.returncode == 0
    check_nothing_lost_or_doubled(lab, 1)


def test_a_drained_lab_finishes_what_runs_and_ends(lab: Lab, fast: Path) -> None:
    plan = lab.plan({"artifacts": [str(fast)], "devices": ["local"], "repeats": 2}, plan=SLOW)
    process = lab.start("run", plan)
    lab.in_a_launch()
    lab.call("drain")
    stdout, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "1 of 2" in stdout
    assert sorted(job.state for job in lab.jobs()) == ["done", "queued"]
    lab.call("resume")
    lab.call("run", plan)
    check_nothing_lost_or_doubled(lab, 2)


def test_a_second_plan_is_taken_along_and_taken_over(lab: Lab, fast: Path) -> None:
    first = lab.start("run", lab.plan({"artifacts": [str(fast)], "devices": ["local"], "repeats": 2}, plan=SLOW, name="first"))
    lab.until(lambda jobs: any(job.state == "running" for job in jobs))
    second = lab.start("run", lab.plan({"artifacts": [str(fast)], "devices": ["local"]}, plan=SLOW, name="second"))
    lab.until(lambda jobs: len(jobs) == 3)
    first.kill()
    second.communicate(timeout=120)
    assert second.returncode == 0
    # the lab works for all of its plans
    check_nothing_lost_or_doubled(lab, 3)


def test_what_is_not_there_ends_the_lab_after_its_patience(lab: Lab, fast: Path) -> None:
    plan = lab.plan({"artifacts": [str(fast)], "devices": ["ssh://nobody@127.0.0.1:9", "local"]}, plan=BRIEF)
    document = json.loads(lab.call("run", plan, "--patience", "3s", "--json", code=1))
    assert {job["state"] for job in document["jobs"]} == {"done", "queued"}
    states = {device["name"]: device["state"] for device in json.loads(lab.call("status", "--json"))["devices"]}
    assert states["ssh://nobody@127.0.0.1:9"] == "dead"


def test_an_artifact_that_is_gone_is_said_and_does_not_stop_the_rest(lab: Lab, fast: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone.onnx"
    gone.write_bytes(b"no model")
    plan = lab.plan(
        {"artifacts": [str(gone)], "devices": ["local"]}, {"artifacts": [str(fast)], "devices": ["local"]}, plan=BRIEF
    )
    document = json.loads(lab.call("run", plan, "--json", code=1))
    bad, good = document["jobs"]
    assert good["valid"]
    assert bad["state"] == "failed"
    assert "does not take this file" in bad["reason"]
