"""Emptying what a device keeps between runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from device_runner import device_lock
from device_runner.device_cache import cache_of
from device_runner.retry import with_backoff

if TYPE_CHECKING:
    from device_runner.inventory.device import Device


@dataclass(frozen=True)
class Cleaned:
    """`runs`: whose launches were removed that nobody had fetched. The bytes are of the cache alone."""

    freed_bytes: int
    left_bytes: int
    runs: tuple[str, ...] = ()


def clean(device: Device, *, launches: bool = False) -> Cleaned:
    """Remove every model, input and runner that nothing on the device and no other host uses.

    launches: also what launches have left to be fetched by a resumed experiment; one that runs stays. Raises DeviceInUse while
    another process of this host uses the device, TransientError when it cannot be reached.
    """
    with device_lock.locked(device):
        transport = with_backoff(device.connect)
        try:
            cache = cache_of(device, transport)
            cache.release()
            # first: what a launch has a link to is not removed
            runs = cache.forget_launches() if launches else []
            freed = cache.empty()
            return Cleaned(freed, cache.holdings().bytes, tuple(runs))
        finally:
            transport.close()
