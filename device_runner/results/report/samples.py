"""A run's timed samples as a figure needs them: how they are spread per launch, and how they went over time.

The spread is of every sample. Over time a launch is cut into equal groups of samples that follow each other, and each is drawn
as its median with its least and its largest: no extreme is lost, and the same samples always give the same picture.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from device_runner.results.report.limits import MAX_LAUNCHES, MAX_POINTS, spread
from device_runner.results.store import Store
from edgedeploy.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class LaunchSamples:
    """Steady samples of one launch: start since its first, in seconds, and duration in milliseconds."""

    index: int
    valid: bool
    start_sec: npt.NDArray[np.float64]
    elapsed_ms: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """`count` samples that follow each other, at the middle of them."""

    at_sec: float
    median_ms: float
    low_ms: float
    high_ms: float
    count: int


def steady(store: Store, run: str) -> tuple[list[LaunchSamples], int]:
    """The launches that are drawn, with how many there are. A run whose samples cannot be read has none, as in a store that
    keeps only records."""
    import numpy as np

    record = store.read(run)
    # eight bytes a number: a run may have a million of them
    starts: defaultdict[int, array[int]] = defaultdict(lambda: array("q"))
    times: defaultdict[int, array[int]] = defaultdict(lambda: array("q"))
    drawn: list[Any] = []
    try:
        for launch, phase, stage, _, start_ns, elapsed_ns, _ in store.samples(run):
            if phase == "steady" and elapsed_ns > 0:
                # where stages were timed apart, the first of them: their times do not belong on one axis
                drawn = drawn or [stage]
                if stage == drawn[0]:
                    starts[launch].append(start_ns)
                    times[launch].append(elapsed_ns)
    except UserError:
        return [], len(record.launches)
    found = []
    there = [launch for launch in record.launches if times.get(launch.index)]
    for at in spread(len(there), MAX_LAUNCHES):
        launch = there[at]
        at_ns = np.frombuffer(starts[launch.index], np.int64)
        elapsed_ns = np.frombuffer(times[launch.index], np.int64)
        found.append(LaunchSamples(launch.index, launch.valid, (at_ns - at_ns[0]) / 1e9, elapsed_ns / 1e6))
    return found, len(record.launches)


def over_time(launch: LaunchSamples) -> list[Point]:
    """The launch in at most MAX_POINTS points."""
    import numpy as np

    groups = np.array_split(np.arange(len(launch.elapsed_ms)), min(MAX_POINTS, len(launch.elapsed_ms)))
    points = []
    for group in groups:
        times = launch.elapsed_ms[group]
        at = float(launch.start_sec[group].mean())
        points.append(Point(at, float(np.median(times)), float(times.min()), float(times.max()), len(times)))
    return points
