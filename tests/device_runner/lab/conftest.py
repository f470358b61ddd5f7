"""A queue whose clock stands still until it is turned, and jobs for it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device_runner.lab.queue import Wanted
from device_runner.lab.sqlite_queue import SqliteQueue


class Clock:
    """Seconds since 1970, as a test says."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def turn(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_queue(tmp_path: Path, clock: Clock) -> Iterator[Callable[[], SqliteQueue]]:
    """`make_queue()` opens the test's queue; each is a connection of its own."""
    opened: list[SqliteQueue] = []
    numbers = itertools.count()

    def make() -> SqliteQueue:
        opened.append(
            SqliteQueue(tmp_path / "lab" / "queue.sqlite", clock=clock, new_experiment=lambda: f"experiment-{next(numbers)}")
        )
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def queue(make_queue: Callable[[], SqliteQueue]) -> SqliteQueue:
    """With three devices that are there."""
    made = make_queue()
    for device in ("a", "b", "c"):
        made.seen(device, "present")
    return made


def job(key: str, *pool: str, priority: int = 0, estimate_sec: float = 10.0, artifacts: tuple[str, ...] = ("x",)) -> Wanted:
    return Wanted(key, f"job {key}", pool or ("a",), priority, estimate_sec, artifacts, {"key": key})
