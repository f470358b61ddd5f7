"""Phones that are attached now, as the adb transport finds them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

#: where the adb transport says what is attached
_ADB = "device_runner.transports.adb.devices"


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
    try:
        module = importlib.import_module(_ADB)
    except ModuleNotFoundError as error:
        if not _ADB.startswith(str(error.name)):
            raise
        return []
    return [Phone(str(found.serial), str(found.state), str(found.model or "")) for found in module.attached()]
