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
#: a phone by its serial, or by its address in the network
_PHONE = re.compile(r"adb:(?://)?(.+)", re.DOTALL)


def resolve(name: str) -> Device:
    """The device of that name, or at that address (ssh://USER@HOST:PORT, adb:SERIAL, adb://HOST:PORT).

    Raises UserError naming those that are known.
    """
    if phone := _PHONE.fullmatch(name):
        return Device(name, Target("adb", phone.group(1)))
    if name.startswith("ssh://"):
        return Device(name, Target("ssh", name.removeprefix("ssh://").removesuffix("/")))
    if name not in _KNOWN:
        raise UserError(
            f"no device {name!r}; known: {', '.join(sorted(_KNOWN))} (local is this host), and by address ssh://USER@HOST, "
            "adb:SERIAL or adb://HOST:PORT"
        )
    return _KNOWN[name]
