"""The devices there are: devices.yaml, phones that are attached, addresses as typed, and this host.

`resolve` finds one by what a person calls it. A name leads to a `Device`; what that says of itself is found out by a session.
"""

from __future__ import annotations

from device_runner.inventory.device import Device
from device_runner.inventory.resolve import Known, known, listed, resolve

__all__ = ["Device", "Known", "known", "listed", "resolve"]
