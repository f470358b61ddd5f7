"""Tiers and links by name: the study's, scaled down to this host.

arXiv 2411.00907 ran its tiers as containers on one server: mobile 4 CPUs and 4 GB, edge 8 and 16, cloud 16 and 64, with
200 Mbit/s between mobile and edge and 1 Mbit/s to the cloud, no delay added. A host that is smaller gives each tier its part:
the cloud is all of the host, and the others keep their proportion to it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from device_runner.inventory.device import Device
from device_runner.tiers.shape import Shape
from device_runner.transports.base import Target
from edgedeploy.errors import UserError

_LEAST_CPUS, _LEAST_MEMORY_MB = 0.1, 256


@dataclass(frozen=True)
class Size:
    """Of a tier as it is meant to be. memory_mb: MB (10^6 bytes)."""

    cpus: float
    memory_mb: int


@dataclass(frozen=True)
class Preset:
    """links: by the two tiers, in either order."""

    name: str
    sizes: Mapping[str, Size]
    links: Mapping[frozenset[str], Shape]

    def device(self, tier: str, host: Size) -> Device:
        """The share of a host of that size which stands for `tier`. Raises UserError for a tier that the preset has not."""
        if tier not in self.sizes:
            raise UserError(f"the preset {self.name} has no tier {tier[:50]!r}; it has {', '.join(self.sizes)}")
        size, largest = self.sizes[tier], self.largest
        cpus = max(_LEAST_CPUS, round(size.cpus * min(1.0, host.cpus / largest.cpus), 2))
        memory_mb = max(_LEAST_MEMORY_MB, int(size.memory_mb * min(1.0, host.memory_mb / largest.memory_mb)))
        settings = {"cpus": f"{cpus:g}", "memory_mb": str(memory_mb), "stands_for": self._label(tier, host)}
        return Device(
            self.device_name(tier), Target("local", "", settings), tier, threads=max(1, int(cpus)), source="preset"
        )  # fmt: skip

    def device_name(self, tier: str) -> str:
        """What the tier's device is called, wherever a device is named."""
        return f"{self.name}-{tier}"

    @property
    def largest(self) -> Size:
        """What a host has to have to be all tiers in full."""
        return Size(max(size.cpus for size in self.sizes.values()), max(size.memory_mb for size in self.sizes.values()))

    def link(self, one: str, other: str) -> Shape | None:
        """The link between two tiers; None where they are one, or the preset says nothing of them."""
        return self.links.get(frozenset((one, other)))

    def _label(self, tier: str, host: Size) -> str:
        """For the record: what the share stands for, and how much smaller the whole was made."""
        size, largest = self.sizes[tier], self.largest
        what = f"the {self.name}'s {tier} tier of {size.cpus:g} CPUs and {size.memory_mb} MB"
        cpus, memory = min(1.0, host.cpus / largest.cpus), min(1.0, host.memory_mb / largest.memory_mb)
        if cpus == memory == 1:
            return what
        return f"{what}, scaled down to this host: {cpus:.4g} of the CPUs, {memory:.4g} of the memory"


STUDY = Preset(
    "study",
    {"mobile": Size(4, 4000), "edge": Size(8, 16_000), "cloud": Size(16, 64_000)},
    {
        frozenset(("mobile", "edge")): Shape(200),
        frozenset(("mobile", "cloud")): Shape(1),
        frozenset(("edge", "cloud")): Shape(1),
    },
)
PRESETS = {STUDY.name: STUDY}


def named(name: str) -> Preset:
    """Raises UserError naming the presets there are."""
    if name not in PRESETS:
        raise UserError(f"no preset {name[:50]!r}; there is {', '.join(PRESETS)}")
    return PRESETS[name]


def device_called(name: str) -> Device | None:
    """The share of this host that a preset's tier is: "study-edge"; None for any other name."""
    for preset in PRESETS.values():
        for tier in preset.sizes:
            if name == preset.device_name(tier):
                return preset.device(tier, this_host())
    return None


def this_host() -> Size:
    """What we may use of this host."""
    with Path("/proc/meminfo").open() as file:
        kilobytes = next((int(line.split()[1]) for line in file if line.startswith("MemTotal:")), 0)
    return Size(len(os.sched_getaffinity(0)), kilobytes * 1024 // 10**6)
