"""Why a device cannot be used, in words that say what to do."""

from __future__ import annotations

from device_runner.transports.base import NotAuthorised
from edgedeploy.errors import EdgedeployError, TransientError, UserError


class Unauthorized(NotAuthorised):
    """The phone has not accepted this computer's key."""


class Absent(TransientError):
    """No such device is attached now."""


class Offline(TransientError):
    """The device is known and does not answer."""


def unauthorized(serial: str) -> Unauthorized:
    return Unauthorized(
        f"{serial} has not accepted this computer: unlock the phone, accept 'Allow USB debugging?' on its screen (with 'Always "
        "allow'), and try again. No such question there? Replug it, or revoke the authorisations in its developer options"
    )


def no_permission(serial: str) -> UserError:
    return UserError(
        f"{serial} is on USB and this user may not open it: install the udev rules (apt install android-udev-rules), join the "
        "group plugdev (sudo usermod -aG plugdev $USER, then log in again), replug the phone"
    )


def no_device(serial: str, attached: str) -> Absent:
    return Absent(f"{serial} is not attached ({attached}): is the cable in, the phone on, USB debugging enabled?")


def offline(serial: str) -> Offline:
    return Offline(f"{serial} is attached and does not answer (offline): replug it, or restart the phone")


def failure(serial: str, reason: str) -> EdgedeployError:
    """What the adb server refused a device's transport with, as an error of ours."""
    said = reason.lower()
    if "unauthorized" in said or "failed to authenticate" in said:
        return unauthorized(serial)
    if "permission" in said:
        return no_permission(serial)
    if "not found" in said or "no devices" in said:
        return no_device(serial, reason)
    if "offline" in said:
        return offline(serial)
    # still authorizing, still connecting, closed, and what later versions may say
    return TransientError(f"{serial}: {reason}")
