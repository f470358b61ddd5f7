"""A Raspberry Pi's firmware: it lowers the clocks by itself, and the kernel does not say so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport

#: bits of get_throttled; the same 16 places up say that it has happened since the board was started
_BITS = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
SINCE_BOOT = " since boot"


def throttling(transport: Transport, deadline: Deadline) -> tuple[str, ...] | None:
    """What holds the clocks down now, and what has since the board was started. None where it does not say."""
    said = transport.run(["vcgencmd", "get_throttled"], deadline)
    match = re.search(r"throttled=0x([0-9a-fA-F]{1,8})\b", said.text)
    if said.exit_code or not match:
        return None
    bits = int(match.group(1), 16)
    now = [word for bit, word in _BITS.items() if bits >> bit & 1]
    return (*now, *(word + SINCE_BOOT for bit, word in _BITS.items() if bits >> (bit + 16) & 1))


def temperature_c(transport: Transport, deadline: Deadline) -> float | None:
    """Of the chip, in degrees Celsius."""
    said = transport.run(["vcgencmd", "measure_temp"], deadline)
    match = re.search(r"temp=(-?[0-9]{1,3}(?:\.[0-9]{1,3})?)'C", said.text)
    return float(match.group(1)) if match and not said.exit_code else None
