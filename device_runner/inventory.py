"""The devices there are, by name. For now the one that is always there: this host."""

from __future__ import annotations

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
    #: the kind of runner it gets, "" for the one that fits; see `install.runner`
    bundle: str = ""

    def connect(self) -> Transport:
        """An open transport to it. Raises TransientError when it cannot be reached."""
        from device_runner import transports

        return transports.connect(self.target)


_KNOWN = {"local": Device("local", Target("local"))}


def resolve(name: str) -> Device:
    """The device of that name. Raises UserError naming those that are known."""
    if name not in _KNOWN:
        raise UserError(f"no device {name!r}; known: {', '.join(sorted(_KNOWN))} (local is this host)")
    return _KNOWN[name]
