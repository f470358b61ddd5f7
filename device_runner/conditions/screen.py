"""Whether a phone's screen is on: with it off, most phones hold their clocks down."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport


def screen_on(transport: Transport, deadline: Deadline) -> bool | None:
    """None where the power service does not say."""
    dumped = transport.run(["dumpsys", "power"], deadline)
    if dumped.exit_code:
        return None
    display = re.search(r"^\s*Display Power: state=([A-Z_]{2,20})", dumped.text, re.MULTILINE)
    if display:
        return display.group(1) == "ON"
    awake = re.search(r"^\s*mWakefulness=([A-Za-z]{2,20})", dumped.text, re.MULTILINE)
    return awake.group(1) == "Awake" if awake else None
