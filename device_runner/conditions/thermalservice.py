"""Android's thermal service: temperatures of sensors that a shell may not read in /sys, and how far the phone throttles."""

from __future__ import annotations

import math
import re

from device_runner.conditions.asking import Answers, Program

_THERMAL = Program(("dumpsys", "thermalservice"))
ASKS = (_THERMAL,)
#: android.hardware.thermal's ThrottlingSeverity
_SEVERITY = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
#: its TemperatureType: battery current limits, which are volts, amperes and percent
_NOT_DEGREES = frozenset((6, 7, 8))
_SENSOR = re.compile(
    r"Temperature\{mValue=(?P<value>-?[0-9]{1,6}(?:\.[0-9]{1,9})?|NaN), mType=(?P<type>-?[0-9]{1,3}), "
    r"mName=(?P<name>[^,}]{1,50}),"
)
_HAL = "Current temperatures from HAL:"
_CACHED = "Cached temperatures:"


def read(answers: Answers) -> tuple[dict[str, float] | None, int | None]:
    """(degrees Celsius by sensor, thermal status from 0 "none" to 6 "shutdown"); None each where it does not say."""
    dumped = answers.said(_THERMAL)
    if dumped.exit_code:
        return None, None
    text = dumped.text
    status = re.search(r"^\s*Thermal Status:\s*([0-6])\s*$", text, re.MULTILINE)
    # what the sensors say now, where the phone's driver is asked; else what was last reported
    sensors = _sensors(text, _HAL) or _sensors(text, _CACHED)
    return sensors or None, int(status.group(1)) if status else None


def _sensors(text: str, heading: str) -> dict[str, float]:
    _, found, section = text.partition(heading)
    sensors: dict[str, float] = {}
    for line in section.split("\n")[1:] if found else []:
        match = _SENSOR.search(line)
        if not match:
            break
        value = float(match["value"])
        if int(match["type"]) not in _NOT_DEGREES and math.isfinite(value):
            sensors[match["name"]] = value
    return sensors


def throttling(status: int | None) -> tuple[str, ...] | None:
    """The status in words; empty for "none"."""
    if status is None:
        return None
    return (f"thermal status {_SEVERITY[status]}",) if status else ()
