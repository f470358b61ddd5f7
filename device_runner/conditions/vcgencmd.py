"""A Raspberry Pi's firmware: it lowers the clocks by itself, and the kernel does not say so."""

from __future__ import annotations

import re

from device_runner.conditions.asking import Answers, Program

_THROTTLED, _TEMPERATURE = Program(("vcgencmd", "get_throttled")), Program(("vcgencmd", "measure_temp"))
ASKS = (_THROTTLED, _TEMPERATURE)
#: bits of get_throttled; the same 16 places up say that it has happened since the board was started
_BITS = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
SINCE_BOOT = " since boot"


def throttling(answers: Answers) -> tuple[str, ...] | None:
    """What holds the clocks down now, and what has since the board was started. None where it does not say."""
    said = answers.said(_THROTTLED)
    match = re.search(r"throttled=0x([0-9a-fA-F]{1,8})\b", said.text)
    if said.exit_code or not match:
        return None
    bits = int(match.group(1), 16)
    now = [word for bit, word in _BITS.items() if bits >> bit & 1]
    return (*now, *(word + SINCE_BOOT for bit, word in _BITS.items() if bits >> (bit + 16) & 1))


def temperature_c(answers: Answers) -> float | None:
    """Of the chip, in degrees Celsius."""
    said = answers.said(_TEMPERATURE)
    match = re.search(r"temp=(-?[0-9]{1,3}(?:\.[0-9]{1,3})?)'C", said.text)
    return float(match.group(1)) if match and not said.exit_code else None
