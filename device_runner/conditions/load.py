"""Load average over one minute."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from device_runner.conditions import files

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport


def load_1m(transport: Transport, deadline: Deadline) -> float | None:
    """Runnable and waiting processes, averaged over a minute. None when /proc/loadavg cannot be read."""
    line = files.read(transport, ["/proc/loadavg"], deadline).get("/proc/loadavg", "")
    match = re.match(r"(\d{1,6}\.\d+)\s", line)
    return float(match.group(1)) if match else None
