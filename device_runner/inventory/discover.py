"""Phones that are attached now, as the adb transport finds them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Phone:
    """An attached phone. `state` is adb's word: device, unauthorized, offline, …"""

    serial: str
    state: str
    model: str = ""


def attached() -> list[Phone]:
    """Every attached phone, ready or not.

    Raises UserError where there is no adb server and adb is not installed, TransientError when the server does not answer.
    """
    from device_runner.transports.adb import devices

    return [Phone(str(found.serial), str(found.state), str(found.model or "")) for found in devices.attached()]
