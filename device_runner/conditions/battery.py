"""Battery, from whichever of a device's sources there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from device_runner.conditions import android_battery, power

if TYPE_CHECKING:
    from device_runner.conditions.system import System
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport


@dataclass(frozen=True)
class Charge:
    """What could be read; a board without a battery has none of it."""

    percent: float | None = None
    charging: bool | None = None
    temperature_c: float | None = None


def read(transport: Transport, system: System, deadline: Deadline) -> Charge:
    if system.android:
        charge = Charge(*android_battery.read(transport, deadline))
        if charge.percent is not None:
            return charge
    return Charge(*power.battery(transport, deadline))
