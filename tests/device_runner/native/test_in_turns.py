"""Several runs of one call that take turns: nothing of one is measured beside another, and none waits for one that is gone."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.device_runner.native.support import (
    RUNTIMES,
    Edgebench,
    Json,
    Ran,
    endless,
    image_plan,
    is_running,
    json_of,
    limits,
    read_samples,
    wait_for,
    write_plan,
)

TURN_MS = 3


class Together:
    """Runs that were started in one call, one a directory."""

    def __init__(self, edgebench: Edgebench, plans: dict[Path, Json]) -> None:
        self.edgebench, self.directories = edgebench, list(plans)
        for directory, plan in plans.items():
            write_plan(directory, plan)
        first, *others = (directory / "plan.json" for directory in plans)
        beside = [word for path in others for word in ("--beside", path)]
        self.call = edgebench.call("--plan", first, *beside, "--detach")
        self.pids = [event["pid"] for event in self.call.events if event["event"] == "detached"]

    def alive(self, directory: Path) -> bool:
        return bool(self.edgebench.call("--poll", directory)["status"]["alive"])

    def ended(self, directory: Path) -> Ran:
        wait_for(lambda: not self.alive(directory), "the run to end")
        found = json_of(directory / "events.jsonl")
        return Ran(0 if found[-1]["event"] == "end" else 1, found, (directory / "stderr.txt").read_text(), directory)

    def until_steady(self, directory: Path) -> Json:
        """The `hello` line, once the timed phase has begun."""
        wait_for(lambda: self.edgebench.call("--poll", directory)["status"]["steady_samples"] > 5, "steady samples")
        return json_of(directory / "events.jsonl")[0]


@pytest.fixture
def started(edgebench: Edgebench) -> Iterator[list[Together]]:
    """What is put in here ends with the test."""
    all_of_them: list[Together] = []
    yield all_of_them
    for together in all_of_them:
        for pid in together.pids:
            if is_running(pid):
                os.killpg(pid, signal.SIGKILL)


def plans_in(tmp_path: Path, models: Path, *runtimes: str, **more: object) -> dict[Path, Json]:
    directories = [tmp_path / str(index) for index in range(len(runtimes))]
    for directory in directories:
        directory.mkdir()
    return {
        directory: image_plan(directory, models, runtime, turn_ms=TURN_MS, **more)
        for directory, runtime in zip(directories, runtimes, strict=True)
    }


def spans(directory: Path) -> np.ndarray:
    """[n, 2] int64, when each steady call began and ended, ns."""
    samples = read_samples(directory).steady
    return np.stack([samples[:, 0], samples.sum(axis=1)], axis=1)


def test_no_two_of_them_measure_at_once(edgebench: Edgebench, models: Path, tmp_path: Path, started: list[Together]) -> None:
    plans = plans_in(tmp_path, models, *RUNTIMES, load_cold=True, steady=limits(20, 100_000, 60))
    started.append(Together(edgebench, plans))
    assert started[0].call.code == 0
    assert started[0].call.names == ["detached"] * 3
    runs = [started[0].ended(directory).done() for directory in plans]
    everything = []
    for number, (directory, ran) in enumerate(zip(plans, runs, strict=True)):
        steady = ran["steady"]
        assert steady["elapsed_ns"] >= 60e6
        assert steady["turns"] > 1
        assert steady["alone"] == 0
        assert steady["count"] == len(spans(directory))
        everything += [(begin, end, number) for begin, end in spans(directory).tolist()]
        first = ran["first"]
        everything.append((first["start_ns"], first["start_ns"] + first["elapsed_ns"], number))
    everything.sort()
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(everything))
    changes = sum(one[2] != other[2] for one, other in itertools.pairwise(everything))
    # as often as there were turns, and not once for each launch
    assert changes > 2 * min(ran["steady"]["turns"] for ran in runs)


def test_the_faster_one_goes_on_until_all_have_what_they_need(
    edgebench: Edgebench, models: Path, tmp_path: Path, started: list[Together]
) -> None:
    short, long = plans = plans_in(tmp_path, models, "onnx", "onnx", warmup=limits(1, 10))
    plans[short]["steady"] = limits(5, 100_000)
    plans[long]["steady"] = limits(5, 100_000, 200)
    started.append(Together(edgebench, plans))
    runs = [started[0].ended(directory).done() for directory in plans]
    assert all(ran["steady"]["alone"] == 0 for ran in runs)
    assert runs[0]["steady"]["elapsed_ns"] > 100e6


def test_one_whose_room_is_full_gives_up_its_turns_and_not_its_place(
    edgebench: Edgebench, models: Path, tmp_path: Path, started: list[Together]
) -> None:
    full, other = plans = plans_in(tmp_path, models, "onnx", "onnx")
    plans[full]["steady"] = limits(5, 20)
    plans[other]["steady"] = limits(5, 100_000, 100)
    started.append(Together(edgebench, plans))
    assert started[0].ended(full).done()["steady"]["count"] == 20
    assert started[0].ended(other).done()["steady"]["alone"] == 0


@pytest.mark.parametrize("who", ["worker", "supervisor"])
def test_one_that_dies_holds_nobody_up_and_is_missed(
    edgebench: Edgebench, models: Path, tmp_path: Path, started: list[Together], who: str
) -> None:
    first, second = plans = plans_in(tmp_path, models, "onnx", "onnx")
    plans[first] = endless(plans[first])
    plans[second]["steady"] = limits(5, 1_000_000, 1000)
    together = Together(edgebench, plans)
    started.append(together)
    worker = together.until_steady(first)["pid"]
    together.until_steady(second)
    os.kill(worker if who == "worker" else together.pids[0], signal.SIGKILL)
    ran = together.ended(second).done()
    assert 0 < ran["steady"]["alone"] < ran["steady"]["turns"]
    wait_for(lambda: not is_running(worker), "the worker to end")


def test_one_that_cannot_be_loaded_holds_nobody_up(
    edgebench: Edgebench, models: Path, tmp_path: Path, started: list[Together]
) -> None:
    broken, whole = plans = plans_in(tmp_path, models, "onnx", "onnx")
    (broken / "image.onnx").write_bytes(b"no model")
    started.append(Together(edgebench, plans))
    assert started[0].ended(broken)["error"]["code"] == "model_invalid"
    ran = started[0].ended(whole).done()
    assert ran["steady"]["alone"] == ran["steady"]["turns"]


def test_a_cancelled_one_ends_at_once_and_the_other_goes_on(
    edgebench: Edgebench, models: Path, tmp_path: Path, started: list[Together]
) -> None:
    plans = {directory: endless(plan) for directory, plan in plans_in(tmp_path, models, "onnx", "onnx").items()}
    first, second = plans
    started.append(Together(edgebench, plans))
    for directory in plans:
        started[0].until_steady(directory)
    assert edgebench.call("--cancel", first)["status"]["alive"] is False
    before = edgebench.call("--poll", second)["status"]["steady_samples"]
    wait_for(lambda: edgebench.call("--poll", second)["status"]["steady_samples"] > before, "it to go on")
    edgebench.call("--cancel", second)
    for directory in plans:
        assert started[0].ended(directory)["error"]["code"] == "cancelled"


def test_none_begins_when_one_is_not_right(edgebench: Edgebench, models: Path, tmp_path: Path, started: list[Together]) -> None:
    first, second = plans = plans_in(tmp_path, models, "onnx", "onnx")
    plans[second]["turn_ms"] = 0
    started.append(Together(edgebench, plans))
    started[0].call.failed("plan_invalid")
    assert not (first / "runner.pid").exists()


def test_one_that_cannot_begin_is_waited_for_by_none(
    edgebench: Edgebench, models: Path, tmp_path: Path, started: list[Together]
) -> None:
    plans = plans_in(tmp_path, models, "onnx", "onnx")
    first, second = plans
    (second / "events.jsonl").mkdir()  # where its events would go
    started.append(Together(edgebench, plans))
    assert started[0].call.code != 0
    assert started[0].call.names == ["detached", "error"]
    ran = started[0].ended(first).done()
    assert ran["steady"]["alone"] == ran["steady"]["turns"]


@pytest.mark.parametrize("more", [{"threads": 2}, {"streams": 2}, {"rest_us": 10}, {"turn_ms": 1001}, {"turn_ms": -1}], ids=str)
def test_plans_that_take_no_turns(edgebench: Edgebench, models: Path, tmp_path: Path, more: Json) -> None:
    plan = {**image_plan(tmp_path, models, "onnx", turn_ms=TURN_MS), **more}
    ran = edgebench.run(tmp_path, plan)
    ran.failed("plan_invalid")
    assert "turn_ms" in ran["error"]["message"]


def test_turns_need_another_one(edgebench: Edgebench, models: Path, tmp_path: Path) -> None:
    edgebench.run(tmp_path, image_plan(tmp_path, models, "onnx", turn_ms=TURN_MS)).failed("plan_invalid")
