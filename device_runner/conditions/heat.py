"""Temperatures and throttling, from whichever of a device's sources there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from device_runner.conditions import thermal, thermalservice, vcgencmd
from device_runner.conditions.asking import Answers, Question

if TYPE_CHECKING:
    from device_runner.conditions.system import System

#: a zone outside of this is not a thermometer that works (phones have zones in volts and percent)
_PLAUSIBLE_C = (-40.0, 150.0)


@dataclass(frozen=True)
class Heat:
    """Degrees Celsius by sensor, and what holds the clocks down; `throttling` is None where the device does not say."""

    temperatures_c: Mapping[str, float] = field(default_factory=dict)
    throttling: tuple[str, ...] | None = None


def asks(system: System) -> tuple[Question, ...]:
    return (
        *(thermalservice.ASKS if system.android else ()), *(thermal.ASKS if system.zones else ()),
        *(vcgencmd.ASKS if system.vcgencmd else ()),
    )  # fmt: skip


def read(answers: Answers, system: System) -> Heat:
    """From the answers to `asks`."""
    zones = thermal.temperatures_c(answers) or {}
    if system.android:
        sensors, status = thermalservice.read(answers)
        return Heat(sensors or zones, thermalservice.throttling(status))
    if not system.vcgencmd:
        return Heat(zones)
    temperatures, chip = dict(zones), vcgencmd.temperature_c(answers)
    if chip is not None:
        temperatures["vcgencmd"] = chip
    return Heat(temperatures, vcgencmd.throttling(answers))


def hottest(temperatures_c: Mapping[str, float] | None) -> tuple[str, float] | None:
    """(sensor, degrees Celsius) of the hottest one that can be a thermometer; None where there is none."""
    low, high = _PLAUSIBLE_C
    real = [(value, name) for name, value in (temperatures_c or {}).items() if low <= value <= high]
    if not real:
        return None
    value, name = max(real)
    return name, value


def throttled_meanwhile(before: tuple[str, ...] | None, after: tuple[str, ...] | None) -> tuple[str, ...]:
    """What held the clocks down at the end, or came and went in between."""
    known = {word for word in before or () if word.endswith(vcgencmd.SINCE_BOOT)}
    return tuple(word for word in after or () if word not in known)
