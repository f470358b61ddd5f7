"""Temperatures and throttling, from whichever of a device's sources there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from device_runner.conditions import thermal, thermalservice, vcgencmd

if TYPE_CHECKING:
    from device_runner.conditions.system import System
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport

#: a zone outside of this is not a thermometer that works (phones have zones in volts and percent)
_PLAUSIBLE_C = (-40.0, 150.0)


@dataclass(frozen=True)
class Heat:
    """Degrees Celsius by sensor, and what holds the clocks down; `throttling` is None where the device does not say."""

    temperatures_c: Mapping[str, float] = field(default_factory=dict)
    throttling: tuple[str, ...] | None = None


def read(transport: Transport, system: System, deadline: Deadline) -> Heat:
    if system.android:
        sensors, status = thermalservice.read(transport, deadline)
        return Heat(
            sensors or thermal.temperatures_c(transport, deadline) or {}, thermalservice.throttling(status)
        )  # fmt: skip
    temperatures = dict(thermal.temperatures_c(transport, deadline) or {})
    if not system.vcgencmd:
        return Heat(temperatures)
    chip = vcgencmd.temperature_c(transport, deadline)
    if chip is not None:
        temperatures["vcgencmd"] = chip
    return Heat(temperatures, vcgencmd.throttling(transport, deadline))


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
