"""Battery, from whichever of a device's sources there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from device_runner.conditions import android_battery, power
from device_runner.conditions.asking import Answers, Question

if TYPE_CHECKING:
    from device_runner.conditions.system import System


@dataclass(frozen=True)
class Charge:
    """What could be read; a board without a battery has none of it."""

    percent: float | None = None
    charging: bool | None = None
    temperature_c: float | None = None


def asks(system: System) -> tuple[Question, ...]:
    return (*(android_battery.ASKS if system.android else ()), *(power.ASKS if system.supplies else ()))


def read(answers: Answers, system: System) -> Charge:
    """From the answers to `asks`."""
    if system.android:
        charge = Charge(*android_battery.read(answers))
        if charge.percent is not None:
            return charge
    return Charge(*power.battery(answers))
