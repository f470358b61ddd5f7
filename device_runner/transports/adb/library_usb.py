"""A phone on USB without an adb server: adb-shell's transport on libusb."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any

from device_runner.transports.adb import states
from device_runner.transports.adb.devices import Attached
from edgedeploy.errors import TransientError, UserError


def transport(serial: str) -> Any:
    """Raises UserError without libusb1 or without permission, Absent when no phone with that serial is there, TransientError
    when it goes meanwhile; so does its `connect`.
    """
    try:
        import usb1
        from adb_shell.exceptions import UsbDeviceNotFoundError
        from adb_shell.transport.usb_transport import UsbTransport
    except (ImportError, OSError):
        raise UserError(
            "a phone on USB needs adb (apt install adb) or libusb (pip install 'edgedeploy[usb]', apt install libusb-1.0-0)"
        ) from None

    def connect(self: Any, transport_timeout_s: float | None = None) -> None:
        with _translated(serial, usb1):
            UsbTransport.connect(self, transport_timeout_s)

    # the library's class has one for good, which hears from udev alone of what is plugged in later: in a container, where there
    # is none, a phone whose cable was out would not be found again
    context = usb1.USBContext()
    kind: Any = type("UsbTransport", (UsbTransport,), {"USB1_CTX": context, "connect": connect})
    try:
        with _translated(serial, usb1):
            context.open()
            found = kind.find_adb(serial, None, None)
    except UsbDeviceNotFoundError:
        context.close()
        raise states.no_device(serial, "no such phone on USB") from None
    except BaseException:
        context.close()
        raise
    # not when it is closed, which the library does before it connects, too
    weakref.finalize(found, context.close)
    return found


@contextlib.contextmanager
def _translated(serial: str, usb1: Any) -> Iterator[None]:
    """What libusb raises, as errors of ours."""
    try:
        yield
    except usb1.USBErrorAccess:
        raise states.no_permission(serial) from None
    except usb1.USBErrorBusy:
        raise UserError(f"{serial} is held by another program, an adb server perhaps: adb kill-server") from None
    except usb1.USBError as error:
        raise TransientError(f"{serial}: USB lost it ({error})") from None


def attached() -> list[Attached]:
    """Phones on USB, asked of libusb; none where that is not installed.

    One that this user may not open is called by its port.
    """
    found: list[Attached] = []
    try:
        import usb1
        from adb_shell.transport.usb_transport import CLASS, PROTOCOL, SUBCLASS
    except (ImportError, OSError):
        return found
    # a machine without USB has no context to open
    with contextlib.suppress(usb1.USBError), usb1.USBContext() as context:
        for device in context.getDeviceIterator(skip_on_error=True):
            kinds = [(each.getClass(), each.getSubClass(), each.getProtocol()) for each in device.iterSettings()]
            if (CLASS, SUBCLASS, PROTOCOL) in kinds:
                port = f"usb:{device.getBusNumber()}-{'.'.join(map(str, device.getPortNumberList()))}"
                found.append(_described(device, port, usb1.USBError))
    return found


def _described(device: Any, port: str, error: type[Exception]) -> Attached:
    try:
        serial, product = (str(text or "") for text in (device.getSerialNumber(), device.getProduct()))
    except error:
        return Attached(port, "no permissions", "", "", "")
    shown = "".join(character for character in product[:100] if character.isprintable())
    # a serial that is none is nothing to open it by
    return (
        Attached(serial, "device", shown, "", "")
        if serial.isprintable() and serial
        else Attached(port, "offline", shown, "", "")
    )
