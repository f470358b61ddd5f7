"""One file per transport; each is imported only when a device of its kind is opened."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from device_runner.transports.base import Transport

#: kind -> the module that has `connect() -> Transport`
KINDS = {"local": "device_runner.transports.local"}


def connect(kind: str) -> Transport:
    """An open transport of that kind. Raises UserError naming the kinds there are."""
    if kind not in KINDS:
        raise UserError(f"no transport {kind!r}; there is {', '.join(sorted(KINDS))}")
    transport: Transport = importlib.import_module(KINDS[kind]).connect()
    return transport
