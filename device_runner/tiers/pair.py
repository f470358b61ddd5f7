"""Two devices for one run: which is which, and what is asked of the link between them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from device_runner.inventory import Device
    from device_runner.tiers.shape import Shape

#: from where the input is to where there is most to compute with
TIERS = ("mobile", "edge", "cloud")


@dataclass(frozen=True)
class Pair:
    """`near` has the input, runs the first stage of a model that was cut, and times; `far` serves the rest.

    shape: what the link is made to be. direct: the far device's address as the near one reaches it, where they are to be
    connected themselves and not through this host.
    """

    near: Device
    far: Device
    shape: Shape | None = None
    direct: str | None = None

    @property
    def bind(self) -> str:
        """Where the far side listens: "" for its loopback, on all addresses where it is to be reached directly."""
        if self.direct is None:
            return ""
        return "[::]" if ":" in self.direct else "0.0.0.0"  # noqa: S104 (asked for: --direct)

    @property
    def name(self) -> str:
        """What a message calls the two."""
        return f"{self.near.name} and {self.far.name}"


def paired(
    tiers: dict[str, Device], *, shape: Shape | None = None, direct: str | None = None
) -> Pair:  # fmt: skip
    """The pair of two devices by tier, as `named` has their names. Raises UserError for one that cannot be in a pair."""
    near, far = (replace(device, tier=tier) for tier, device in tiers.items())
    for device in (near, far):
        if device.bundle == "app":
            raise UserError(f"{device.name}: two tiers are measured by the runner alone; leave out --in-app")
    if direct is not None:
        if shape is not None:
            raise UserError("a direct link does not pass this host, which could shape it; leave out --direct or --link")
        try:
            ipaddress.ip_address(direct)
        except ValueError:
            raise UserError(f"--direct {direct[:100]!r}: give the far device's numeric address, as 192.168.1.30") from None
    return Pair(near, far, shape, direct)
