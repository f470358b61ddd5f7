"""Putting a device back as it was found, after a run that could not do so itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_runner import device_lock
from device_runner.conditions import journal, preparing
from edgedeploy.errors import TransientError

if TYPE_CHECKING:
    from device_runner.inventory.device import Device


def restore(device: Device) -> list[str]:
    """Put back what a run left changed on the device. Raises UserError when it refuses, TransientError out of reach."""
    if journal.read(device) is None:
        return []
    with device_lock.locked(device):
        transport = device.connect()
        try:
            return preparing.restore(transport, device)
        except TransientError as error:
            raise TransientError(f"{device.name}: not everything is put back: {error}; try again when it is there") from None
        finally:
            transport.close()
