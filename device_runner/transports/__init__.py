"""One file per transport; each is imported only when a device of its kind is opened."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from device_runner.transports.base import Target, Transport

#: kind -> the module that has `connect(target: Target) -> Transport`
KINDS = {
    "adb": "device_runner.transports.adb",
    "local": "device_runner.transports.local",
    "ssh": "device_runner.transports.ssh",
}


def connect(target: Target) -> Transport:
    """An open transport to that device. Raises UserError naming the kinds there are, TransientError when out of reach."""
    if target.transport not in KINDS:
        raise UserError(f"no transport {target.transport!r}; there is {', '.join(sorted(KINDS))}")
    transport: Transport = importlib.import_module(KINDS[target.transport]).connect(target)
    return transport
