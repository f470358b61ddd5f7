"""Governors and clocks."""

from __future__ import annotations

import re

from device_runner.conditions import files
from device_runner.conditions.asking import Answers, Files

_GOVERNORS = Files("/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor")
_FREQUENCIES = Files("/sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq")
ASKS = (_GOVERNORS, _FREQUENCIES)


def clocks(answers: Answers) -> tuple[dict[str, str] | None, dict[str, int] | None]:
    """(governor by CPU, frequency in kHz by CPU); None each where the kernel shows none, as in most virtual machines."""
    governors = {cpu: text[:50] for cpu, text in answers.first(_GOVERNORS).items() if _is_cpu(cpu) and text}
    clocks = {cpu: files.whole(text) for cpu, text in answers.first(_FREQUENCIES).items() if _is_cpu(cpu)}
    frequencies = {cpu: khz for cpu, khz in clocks.items() if khz is not None and khz >= 0}
    return governors or None, frequencies or None


def _is_cpu(name: str) -> bool:
    return re.fullmatch(r"cpu\d{1,4}", name) is not None
