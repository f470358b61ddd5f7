"""What each inference over two devices was made of: the runner's `crossings.bin`, read and summed up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from device_runner.results.statistics import quantile
from edgedeploy.errors import InternalError
from edgedeploy.record import Crossing, Gap

NAME = "crossings.bin"
_MAGIC = b"EDGX"
_HEADER_BYTES = 32
_RECORD = np.dtype("<i8")
_COLUMNS = 3
MOST_BYTES = _HEADER_BYTES + 2 * 2**24 * 8 * _COLUMNS

Ns = npt.NDArray[np.int64]


def read(path: Path, counts: tuple[int, int]) -> tuple[Ns, Ns]:
    """(warm-up, steady), int64 [n, 3] each: near, round trip and far durations in ns, as many as there are samples of each.

    Raises InternalError for a file that is none, or that has fewer than that.
    """
    header = path.open("rb").read(_HEADER_BYTES)
    if header == bytes(_HEADER_BYTES) and counts == (0, 0):
        # made, and its runner ended before it wrote who it is
        return np.empty((0, _COLUMNS), np.int64), np.empty((0, _COLUMNS), np.int64)
    if len(header) < _HEADER_BYTES or header[:4] != _MAGIC or int.from_bytes(header[4:8], "little") != 1:
        raise InternalError("the runner's crossings file is not one of version 1")
    first = int.from_bytes(header[8:16], "little")
    there = (path.stat().st_size - _HEADER_BYTES) // (8 * _COLUMNS)
    warmup, steady = counts
    if warmup > first or (steady and first + steady > there):
        raise InternalError("the runner's crossings file does not go with its samples")
    if not there:
        return np.empty((0, _COLUMNS), np.int64), np.empty((0, _COLUMNS), np.int64)
    records = np.memmap(path, _RECORD, "r", _HEADER_BYTES, (there, _COLUMNS))
    return np.array(records[:warmup], np.int64), np.array(records[first : first + steady], np.int64)


def summed_up(steady: Ns, events: Sequence[Mapping[str, Any]]) -> Crossing:
    """The launch's entry. steady: of the inferences that had settled."""
    near, round_trip, far = steady.T if len(steady) else np.empty((_COLUMNS, 0), np.int64)
    told = next((event for event in events if event.get("event") == "far"), {})
    return Crossing(
        near_median_ns=quantile(near, 0.5), round_trip_median_ns=quantile(round_trip, 0.5), far_median_ns=quantile(far, 0.5),
        link_median_ns=quantile(round_trip - far, 0.5), bytes_sent=_count(told.get("bytes_sent")),
        bytes_received=_count(told.get("bytes_received")),
        gaps=tuple(_gap(event) for event in events if event.get("event") == "gap"),
    )  # fmt: skip


def flags(crossing: Crossing) -> tuple[str, ...]:
    """What a launch whose link dropped is marked with; it counts all the same, since no sample has a gap in it."""
    if not crossing.gaps:
        return ()
    seconds = sum(gap.elapsed_ns for gap in crossing.gaps) / 1e9
    times = "once" if len(crossing.gaps) == 1 else f"{len(crossing.gaps)} times"
    return (f"the link was lost {times}, for {seconds:.3g} s together",)


def _gap(event: Mapping[str, Any]) -> Gap:
    phase = event.get("phase")
    return Gap(
        phase=phase if phase in ("first", "warmup", "steady") else "output",
        after=_count(event.get("after")) or 0, elapsed_ns=_count(event.get("elapsed_ns")) or 0,
        reason=str(event.get("reason", ""))[:1000],
    )  # fmt: skip


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None
