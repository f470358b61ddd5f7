"""A phone on USB without an adb server: adb-shell's transport on libusb."""

from __future__ import annotations

from typing import Any

from device_runner.transports.adb import states
from edgedeploy.errors import UserError


def transport(serial: str) -> Any:
    """Raises UserError without libusb1 or without permission, Absent when no phone with that serial is there."""
    try:
        from adb_shell.exceptions import UsbDeviceNotFoundError
        from adb_shell.transport.usb_transport import UsbTransport
        from usb1 import USBErrorAccess, USBErrorBusy
    except (ImportError, OSError):
        raise UserError(
            "a phone on USB needs adb (apt install adb) or libusb (pip install 'edgedeploy[usb]', apt install libusb-1.0-0)"
        ) from None
    try:
        return UsbTransport.find_adb(serial, None, None)
    except UsbDeviceNotFoundError:
        raise states.no_device(serial, "no such phone on USB") from None
    except USBErrorAccess:
        raise states.no_permission(serial) from None
    except USBErrorBusy:
        raise UserError(f"{serial} is held by another program, an adb server perhaps: adb kill-server") from None
