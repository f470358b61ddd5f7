"""The runner's sample file, as it was left by a launch that ended in whatever way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgedeploy.errors import InternalError
from edgedeploy.limits import MAX_STREAMS

_MAGIC = b"EDGS"
_HEADER_BYTES = 32
_RECORD_BYTES = 16
#: of a file with the largest capacities a plan can have, 2^24 each
MOST_BYTES = _HEADER_BYTES + 2 * 2**24 * _RECORD_BYTES

Ns = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Samples:
    """Warm-up and steady samples, int64 [n, 2] each: start on the device's monotonic clock and duration, in nanoseconds.

    Of several streams, those of one after those of the other; `streams` says of which each steady sample is, and is empty
    for one.
    """

    warmup: Ns
    steady: Ns
    streams: npt.NDArray[np.int16] = field(default_factory=lambda: np.empty(0, np.int16))

    #: what is said of each steady sample, "" mostly; empty where nothing is said of any
    flags: tuple[str, ...] = ()

    @classmethod
    def none(cls) -> Samples:
        """Of a launch that never came to sampling."""
        return cls(np.empty((0, 2), np.int64), np.empty((0, 2), np.int64))


def read(path: Path) -> Samples:
    """Parse `samples.bin`. A file cut short gives what is in it; InternalError for one that is none."""
    header = path.open("rb").read(_HEADER_BYTES)
    if header == bytes(_HEADER_BYTES):
        # made, and its runner ended before it wrote who it is: that launch never came to sampling
        return Samples.none()
    if len(header) < _HEADER_BYTES or header[:4] != _MAGIC or int.from_bytes(header[4:8], "little") != 1:
        raise InternalError("the runner's sample file is not one of version 1")
    capacities = [int.from_bytes(header[at : at + 8], "little") for at in (8, 16)]
    there = (path.stat().st_size - _HEADER_BYTES) // _RECORD_BYTES
    if not there:
        return Samples.none()
    # mapped: the file is sized for the largest run, and only its written part is touched
    records = np.memmap(path, np.dtype("<i8"), "r", _HEADER_BYTES, (there, 2))
    streams = int.from_bytes(header[24:32], "little") or 1
    if streams > MAX_STREAMS:
        raise InternalError("the runner's sample file has more streams than there can be")
    size = sum(capacities)
    parts = [
        (_written(region[: capacities[0]]), _written(region[capacities[0] :]))
        for region in (records[stream * size : (stream + 1) * size] for stream in range(streams))
    ]
    if streams == 1:
        return Samples(*parts[0])
    of = np.repeat(np.arange(streams, dtype=np.int16), [len(steady) for _, steady in parts])
    return Samples(
        np.concatenate([warmup for warmup, _ in parts]), np.concatenate([steady for _, steady in parts]), of,
        flags=tuple(f"stream {stream}" for stream in of),
    )  # fmt: skip


def _written(region: npt.NDArray[Any]) -> Ns:
    """The records before the first that was never written. A written one has an elapsed time of at least 1."""
    step = 1 << 16
    for start in range(0, len(region), step):
        empty = np.flatnonzero(region[start : start + step, 1] <= 0)
        if len(empty):
            return np.array(region[: start + int(empty[0])], np.int64)
    return np.array(region, np.int64)


def runs_of(flags: Sequence[str], count: int, most: int) -> Iterator[tuple[int, int, str]]:
    """(first, end, flag) of `count` samples in stretches that share a flag, of `most` samples each at most."""
    at = 0
    while at < count:
        end, flag = min(at + most, count), flags[at] if flags else ""
        if flags:
            end = next((place for place in range(at + 1, end) if flags[place] != flag), end)
        yield at, end, flag
        at = end
