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
    """Every attached phone, ready or not: the adb server's list, or, where there is none, what libusb finds on USB.

    Raises UserError where there is neither an adb server nor adb nor a phone on USB, TransientError when the server does not
    answer.
    """
    from device_runner.transports.adb import devices, library_usb
    from device_runner.transports.adb.server import NoServer

    try:
        found = devices.attached()
    except NoServer:
        found = library_usb.attached()
        if not found:
            raise
    return [Phone(each.serial, each.state, each.model) for each in found]
