"""Memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport


def meminfo_kb(transport: Transport, field: str, deadline: Deadline) -> int | None:
    """A field of /proc/meminfo in kB (`MemTotal`, `MemAvailable`); None when it is not there."""
    printed = transport.run(["cat", "/proc/meminfo"], deadline)
    match = re.search(rf"^{re.escape(field)}:\s+(\d{{1,15}}) kB$", printed.text, re.MULTILINE)
    return int(match.group(1)) if match else None
