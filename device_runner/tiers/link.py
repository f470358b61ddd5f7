"""A look at the link: the near device's runner measures echoes and throughput to the far side, and this sums it up."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from device_runner.deadline import Deadline
from device_runner.instant import now
from device_runner.results.statistics import quantile
from edgedeploy.errors import TransientError
from edgedeploy.record import LinkLook

if TYPE_CHECKING:
    from device_runner.session import Session

NAME = "link.json"
#: enough echoes for a 90th percentile, enough bytes to fill a fast link, and no more time than this on a slow one
ECHOES, BYTES, ROUNDS, MOST_SEC = 50, 2**18, 3, 3.0
_ANSWER_SEC = 180.0


def look(near: Session, directory: str, fields: dict[str, Any]) -> LinkLook:
    """Measure the link from the near device. fields: of the far side, whose token is in `directory` already.

    Raises RunnerRefused where the far side does not answer, TransientError when the near device does not.
    """
    asked = {
        "protocol": 1, "far": fields, "echoes": ECHOES, "echo_bytes": 0, "bytes": BYTES, "rounds": ROUNDS,
        "most_seconds": MOST_SEC,
    }  # fmt: skip
    near.write(directory, {NAME: json.dumps(asked)})
    taken, began = now(), time.monotonic()
    line = near.runner.link(directory, Deadline.after(_ANSWER_SEC))
    return summed_up(line, taken, time.monotonic() - began)


def summed_up(line: dict[str, Any], taken: str, seconds: float) -> LinkLook:
    """The look that a `link` line of the runner is. Raises TransientError for a line that cannot be one.

    The bytes of a round travel one way and a small frame the other: of each round one round trip is taken off, half of it for
    the first byte's way and half for what answers it. A round that is not longer than that tells no rate.
    """
    echoes = _durations(line.get("echo_ns"))
    if not echoes:
        raise TransientError("the near device does not say how long an echo took")
    middle = statistics.median(echoes)
    slow = quantile(np.array(echoes), 0.9)
    up, down = (_rate(line.get(way), middle) for way in ("up", "down"))
    return LinkLook(
        taken=taken, rtt_us=middle / 1e3, rtt_p90_us=(slow or middle) / 1e3, echoes=len(echoes), up_mbit_s=up,
        down_mbit_s=down, bytes_each_way=_bytes(line.get("up")), seconds=seconds,
    )  # fmt: skip


def _rounds(value: object) -> list[tuple[int, int]]:
    """(bytes, elapsed_ns) of each round that makes sense."""
    rounds = [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
    found = [(_count(each.get("bytes")), _count(each.get("elapsed_ns"))) for each in rounds]
    return [(size, took) for size, took in found if size is not None and took]


def _rate(value: object, round_trip_ns: float) -> float | None:
    """Mbit/s, the median over rounds."""
    rates = [8e3 * size / (took - round_trip_ns) for size, took in _rounds(value) if size and took > 1.1 * round_trip_ns]
    return statistics.median(rates) if rates else None


def _bytes(value: object) -> int:
    return sum(size for size, _ in _rounds(value))


def _durations(value: object) -> Sequence[int]:
    return [count for each in value if (count := _count(each))] if isinstance(value, list) else []


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None
