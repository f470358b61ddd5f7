"""Thermal zones."""

from __future__ import annotations

from device_runner.conditions import files
from device_runner.conditions.asking import Answers, Files

_TYPES = Files("/sys/class/thermal/thermal_zone*/type")
_TEMPERATURES = Files("/sys/class/thermal/thermal_zone*/temp")
ASKS = (_TYPES, _TEMPERATURES)


def temperatures_c(answers: Answers) -> dict[str, float] | None:
    """Degrees Celsius by "zone:type"; None where the kernel shows no zone. A zone that is asleep is left out."""
    types = answers.first(_TYPES)
    temperatures: dict[str, float] = {}
    for zone, text in answers.first(_TEMPERATURES).items():
        millidegrees = files.whole(text)
        if millidegrees is not None:
            temperatures[f"{zone}:{types.get(zone, '')[:50]}"] = millidegrees / 1000
    return temperatures or None
