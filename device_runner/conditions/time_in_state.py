"""How long each clock has been at each frequency: two readings say at which ones a launch ran."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from device_runner.conditions import files

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport

_POLICIES = "/sys/devices/system/cpu/cpufreq"
#: the kernel counts in ticks of 10 ms here, whatever it was built with
_TICK_MS = 10
_MOST_FREQUENCIES = 100


def time_in_state_ms(transport: Transport, deadline: Deadline) -> dict[str, dict[str, int]] | None:
    """ms since the start of the device, by policy (its CPUs share a clock) and kHz. None where the kernel keeps none."""
    policies = [name for name in files.entries(transport, _POLICIES, deadline) if re.fullmatch(r"policy\d{1,4}", name)]
    paths = {f"{_POLICIES}/{policy}/stats/time_in_state": policy for policy in policies}
    found: dict[str, dict[str, int]] = {}
    for path, lines in files.read_lines(transport, list(paths), deadline).items():
        pairs = [re.fullmatch(r"([0-9]{1,9}) ([0-9]{1,15})", line) for line in lines[:_MOST_FREQUENCIES]]
        times = {pair.group(1): int(pair.group(2)) * _TICK_MS for pair in pairs if pair}
        if times:
            found[paths[path]] = times
    return found or None
