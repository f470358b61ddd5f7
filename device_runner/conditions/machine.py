"""Which machine a device is: two names, or two ways to reach it, can lead to one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from device_runner.conditions import files

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport

#: drawn anew by each start of a kernel; containers on one kernel have the same, and share its CPUs
_BOOT = "/proc/sys/kernel/random/boot_id"


def running_kernel(transport: Transport, deadline: Deadline) -> str | None:
    """The same text for two connections to one running kernel; None where the device does not say."""
    return _checked(files.read(transport, [_BOOT], deadline).get(_BOOT, ""))


def this_hosts_kernel() -> str | None:
    """The same of the machine this runs on."""
    try:
        return _checked(Path(_BOOT).read_text("ascii").strip())
    except (OSError, UnicodeDecodeError):
        return None


def _checked(said: str) -> str | None:
    return said if re.fullmatch(r"[0-9a-f-]{30,40}", said) else None
