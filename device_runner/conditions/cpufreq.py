"""Governors and clocks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from device_runner.conditions import files

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport

_CPUS = "/sys/devices/system/cpu"


def clocks(transport: Transport, deadline: Deadline) -> tuple[dict[str, str] | None, dict[str, int] | None]:
    """(governor by CPU, frequency in kHz by CPU); None each where the kernel shows none, as in most virtual machines."""
    cpus = [name for name in files.entries(transport, _CPUS, deadline) if re.fullmatch(r"cpu\d+", name)]
    wanted = [f"{_CPUS}/{cpu}/cpufreq/{name}" for cpu in cpus for name in ("scaling_governor", "scaling_cur_freq")]
    found = files.read(transport, wanted, deadline)
    governors: dict[str, str] = {}
    frequencies: dict[str, int] = {}
    for cpu in cpus:
        governor = found.get(f"{_CPUS}/{cpu}/cpufreq/scaling_governor")
        frequency = files.whole(found.get(f"{_CPUS}/{cpu}/cpufreq/scaling_cur_freq"))
        if governor:
            governors[cpu] = governor[:50]
        if frequency is not None and frequency >= 0:
            frequencies[cpu] = frequency
    return governors or None, frequencies or None
