"""How long each clock has been at each frequency: two readings say at which ones a launch ran."""

from __future__ import annotations

import re

from device_runner.conditions.asking import Answers, Files

_TIMES = Files("/sys/devices/system/cpu/cpufreq/policy*/stats/time_in_state")
ASKS = (_TIMES,)
#: the kernel counts in ticks of 10 ms here, whatever it was built with
_TICK_MS = 10
_MOST_FREQUENCIES = 100


def time_in_state_ms(answers: Answers) -> dict[str, dict[str, int]] | None:
    """ms since the start of the device, by policy (its CPUs share a clock) and kHz. None where the kernel keeps none."""
    found: dict[str, dict[str, int]] = {}
    for policy, lines in answers.files(_TIMES).items():
        pairs = [re.fullmatch(r"([0-9]{1,9}) ([0-9]{1,15})", line) for line in lines[:_MOST_FREQUENCIES]]
        times = {pair.group(1): int(pair.group(2)) * _TICK_MS for pair in pairs if pair}
        if times:
            found[policy] = times
    return found or None
