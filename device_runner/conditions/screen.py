"""Whether a phone's screen is on: with it off, most phones hold their clocks down."""

from __future__ import annotations

import re

from device_runner.conditions.asking import Answers, Program

_POWER = Program(("dumpsys", "power"))
ASKS = (_POWER,)


def screen_on(answers: Answers) -> bool | None:
    """None where the power service does not say."""
    dumped = answers.said(_POWER)
    if dumped.exit_code:
        return None
    display = re.search(r"^\s*Display Power: state=([A-Z_]{2,20})", dumped.text, re.MULTILINE)
    if display:
        return display.group(1) == "ON"
    awake = re.search(r"^\s*mWakefulness=([A-Za-z]{2,20})", dumped.text, re.MULTILINE)
    return awake.group(1) == "Awake" if awake else None
