"""Battery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_runner.conditions import files

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport

_SUPPLIES = "/sys/class/power_supply"


def battery(transport: Transport, deadline: Deadline) -> tuple[float | None, bool | None]:
    """(charge in percent, whether it charges) of the first battery; None each where there is none."""
    supplies = files.entries(transport, _SUPPLIES, deadline)
    names = ("type", "capacity", "status")
    found = files.read(transport, [f"{_SUPPLIES}/{supply}/{name}" for supply in supplies for name in names], deadline)
    for supply in supplies:
        if found.get(f"{_SUPPLIES}/{supply}/type") != "Battery":
            continue
        percent = files.whole(found.get(f"{_SUPPLIES}/{supply}/capacity"))
        status = found.get(f"{_SUPPLIES}/{supply}/status", "")
        charging = {"Charging": True, "Full": True, "Discharging": False, "Not charging": False}.get(status)
        return (None if percent is None else float(percent)), charging
    return None, None
