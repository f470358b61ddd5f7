"""Thermal zones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_runner.conditions import files

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport

_ZONES = "/sys/class/thermal"


def temperatures_c(transport: Transport, deadline: Deadline) -> dict[str, float] | None:
    """Degrees Celsius by "zone:type"; None where the kernel shows no zone. A zone that is asleep is left out."""
    zones = [name for name in files.entries(transport, _ZONES, deadline) if name.startswith("thermal_zone")]
    found = files.read(transport, [f"{_ZONES}/{zone}/{name}" for zone in zones for name in ("type", "temp")], deadline)
    temperatures: dict[str, float] = {}
    for zone in zones:
        millidegrees = files.whole(found.get(f"{_ZONES}/{zone}/temp"))
        if millidegrees is not None:
            kind = found.get(f"{_ZONES}/{zone}/type", "")[:50]
            temperatures[f"{zone}:{kind}"] = millidegrees / 1000
    return temperatures or None
