"""The devices there are, by name. For now the one that is always there: this host."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from device_runner.transports.base import Target
from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from device_runner.transports.base import Transport


@dataclass(frozen=True)
class Device:
    """A device as the inventory knows it; what it says of itself is found out by a session."""

    name: str
    target: Target
    tier: str = ""

    def connect(self) -> Transport:
        """An open transport to it. Raises TransientError when it cannot be reached."""
        from device_runner import transports

        return transports.connect(self.target)


_KNOWN = {"local": Device("local", Target("local"))}


#: of a device that needs no entry anywhere: the transport, and the address it is reached at
_DIRECT = re.compile(r"(adb):(?://)?(.+)", re.DOTALL)


def resolve(name: str) -> Device:
    """The device of that name, or what `adb:SERIAL` or `adb://HOST:PORT` leads to.

    Raises UserError naming those that are known.
    """
    if direct := _DIRECT.fullmatch(name):
        return Device(name, Target(direct.group(1), direct.group(2)))
    if name not in _KNOWN:
        known = ", ".join(sorted(_KNOWN))
        raise UserError(
            f"no device {name!r}; known: {known} (local is this host), and adb:SERIAL or adb://HOST:PORT for a phone"
        )
    return _KNOWN[name]
