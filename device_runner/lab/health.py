"""Whether a device that was in quarantine can be worked with again: a runner is put there and says who it is."""

from __future__ import annotations

from device_runner.device_lock import DeviceInUse
from device_runner.inventory.device import Device
from device_runner.session import open_session
from edgedeploy.errors import EdgedeployError

#: the first check, and the longest that a device waits for its next one; each wait is twice the last
FIRST_SEC, LONGEST_SEC = 60.0, 3600.0


def due_at(held_at: float, checks: int) -> float:
    """When it is to be looked at next, on the clock of `held_at`. checks: made since it was quarantined."""
    return held_at + min(LONGEST_SEC, FIRST_SEC * 2.0 ** min(checks, 20))


def trouble(device: Device) -> str | None:
    """Why it cannot be worked with, "" when it can, None when somebody else uses it. Nothing is raised."""
    try:
        with open_session(device) as session:
            session.context()
    except DeviceInUse:
        return None
    except EdgedeployError as error:
        return str(error)
    return ""
