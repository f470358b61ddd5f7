"""Threads and CPUs: what a plan asks for is what the kernel sees."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.device_runner.native.support import RUNTIMES, Edgebench, Json, Started, endless, image_plan, wait_for

Start = Callable[[Path, Json], Started]
CPUS = sorted(os.sched_getaffinity(0))


def running(start: Start, directory: Path, plan: Json) -> dict[int, set[int]]:
    """The threads of a worker in its steady phase, and the CPUs each may run on."""
    run = start(directory, endless(plan))
    run.until("warmup")
    pid = run.events[0]["pid"]

    def affinities() -> dict[int, set[int]]:
        return {int(task): os.sched_getaffinity(int(task)) for task in os.listdir(f"/proc/{pid}/task")}

    wait_for(lambda: len(affinities()) >= plan["threads"], "the threads")
    return affinities()


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_as_many_threads_as_asked_for(start: Start, models: Path, tmp_path: Path, runtime: str, threads: int) -> None:
    found = running(start, tmp_path, image_plan(tmp_path, models, runtime, threads=threads))
    assert len(found) == threads
    assert all(cpus == set(CPUS) for cpus in found.values()), "no affinity asked for, none set"


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("cpu", [CPUS[0], CPUS[-1]])
def test_all_threads_keep_to_the_cpus_of_the_plan(start: Start, models: Path, tmp_path: Path, runtime: str, cpu: int) -> None:
    found = running(start, tmp_path, image_plan(tmp_path, models, runtime, threads=2, affinity=[cpu]))
    assert len(found) == 2
    assert all(cpus == {cpu} for cpus in found.values())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_cpu_for_each_thread(start: Start, models: Path, tmp_path: Path, runtime: str) -> None:
    assert len(CPUS) >= 2, "this test needs two CPUs"
    wanted = [CPUS[1], CPUS[0]]
    found = running(start, tmp_path, image_plan(tmp_path, models, runtime, threads=2, affinity=wanted))
    main = min(found)
    assert found[main] == {wanted[0]}, "the thread that calls has the first"
    assert [cpus for task, cpus in found.items() if task != main] == [{wanted[1]}]


def test_a_cpu_that_is_not_there(edgebench: Edgebench, models: Path, tmp_path: Path) -> None:
    for affinity in ([1023], [CPUS[0], 1023]):
        edgebench.run(tmp_path, image_plan(tmp_path, models, "onnx", affinity=affinity)).failed("plan_invalid")
