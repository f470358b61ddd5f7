"""A device as the inventory knows it, before it is reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from device_runner.transports.base import Target
from edgedeploy.gates import Gates
from edgedeploy.preparation import Preparation

if TYPE_CHECKING:
    from device_runner.transports.base import Transport


@dataclass(frozen=True)
class Device:
    """`name` finds the same device again; a phone that no file names has its serial for it."""

    name: str
    target: Target
    #: "mobile", "edge", "cloud", or ""
    tier: str = ""
    labels: tuple[str, ...] = ()
    #: what a bench on it uses when nothing else is said
    threads: int | None = None
    cores: tuple[int, ...] | None = None
    #: and what must hold before each launch
    gates: Gates = field(default_factory=Gates)
    preparation: Preparation = field(default_factory=Preparation)
    #: the kind of runner it gets: "portable", "app" (see `app.entering`), or "" for the one that fits (see `install.runner`)
    bundle: Literal["", "portable", "app"] = ""
    #: what models, inputs and runners may take there between runs, MB (10^6 bytes); None: by its storage
    cache_limit_mb: int | None = None
    #: of a phone that is attached: ro.product.model
    model: str = ""
    #: "inventory", "attached", "address", "built in"
    source: str = "built in"

    def connect(self) -> Transport:
        """An open transport to it. Raises TransientError when it cannot be reached."""
        from device_runner import transports

        return transports.connect(self.target)


LOCAL = Device("local", Target("local"))
