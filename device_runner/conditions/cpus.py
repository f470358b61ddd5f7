"""Which CPUs a program may use there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport


def allowed(transport: Transport, deadline: Deadline) -> frozenset[int] | None:
    """CPUs that a program of ours may run on (online, and inside its container's set); None when it cannot be read."""
    printed = transport.run(["cat", "/proc/self/status"], deadline)
    match = re.search(r"^Cpus_allowed_list:\s*([0-9,-]{1,1000})$", printed.text, re.MULTILINE)
    if not match:
        return None
    cpus: set[int] = set()
    for part in match.group(1).split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit() and int(last or first) < 4096:
            cpus.update(range(int(first), int(last or first) + 1))
    return frozenset(cpus) or None
