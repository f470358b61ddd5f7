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
        return Device(
            f"{self.name}-{tier}", Target("local", "", {"cpus": f"{cpus:g}", "memory_mb": str(memory_mb)}), tier,
            (f"preset={self.name}", f"preset-cpus={size.cpus:g}", f"preset-memory-mb={size.memory_mb}"),
            threads=max(1, int(cpus)), source="preset",
        )  # fmt: skip

    @property
    def largest(self) -> Size:
        """What a host has to have to be all tiers in full."""
        return Size(max(size.cpus for size in self.sizes.values()), max(size.memory_mb for size in self.sizes.values()))

    def link(self, one: str, other: str) -> Shape | None:
        """The link between two tiers; None where they are one, or the preset says nothing of them."""
        return self.links.get(frozenset((one, other)))

    def label(self, host: Size) -> str:
        """For the record: what the numbers are of, and how much smaller than the preset it was."""
        cpus, memory = min(1.0, host.cpus / self.largest.cpus), min(1.0, host.memory_mb / self.largest.memory_mb)
        if cpus == memory == 1:
            return f"preset {self.name}"
        return f"preset {self.name}, scaled down to this host: {cpus:.4g} of its CPUs, {memory:.4g} of its memory"


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


def this_host() -> Size:
    """What we may use of this host."""
    with Path("/proc/meminfo").open() as file:
        kilobytes = next((int(line.split()[1]) for line in file if line.startswith("MemTotal:")), 0)
    return Size(len(os.sched_getaffinity(0)), kilobytes * 1024 // 10**6)
