"""A share of this host as a device: the same transport, and what it starts has so many CPUs and so much memory.

By a control group where one may be made. Else by affinity, which knows whole CPUs only, and a limit of data memory; `facts`
says which, for the record.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device_runner import cgroups
from device_runner.deadline import Deadline
from device_runner.transports.base import Completed
from device_runner.transports.local import LocalTransport
from edgedeploy.errors import UserError
from edgedeploy.limits import MAX_MEMORY_MB

MIN_CPUS, MAX_CPUS = 0.1, 4096.0
MIN_MEMORY_MB = 16


@dataclass(frozen=True)
class Share:
    """cpus: 0.5 is half the time of one. memory_mb: MB (10^6 bytes). None: all there is.

    stands_for: what it is smaller than and stands for, in words that go into the record.
    """

    cpus: float | None
    memory_mb: int | None
    stands_for: str = ""

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Share:
        """Raises UserError naming what a setting may be."""
        known = ("cpus", "memory_mb", "stands_for")
        if unknown := sorted(set(settings) - set(known)):
            raise UserError(f"the local transport has no setting {unknown[0][:100]!r}; there is {', '.join(known)}")
        cpus = _number(settings, "cpus", MIN_CPUS, MAX_CPUS)
        memory = _number(settings, "memory_mb", MIN_MEMORY_MB, MAX_MEMORY_MB)
        if cpus is None and memory is None:
            raise UserError("a share of this host has cpus, memory_mb or both")
        return cls(cpus, int(memory) if memory is not None else None, settings.get("stands_for", "")[:200])

    @property
    def name(self) -> str:
        """For a directory."""
        parts = (self.cpus, "cpus"), (self.memory_mb, "mb")
        return "-".join(f"{value:g}{unit}" for value, unit in parts if value is not None)


def _number(settings: Mapping[str, str], name: str, low: float, high: float) -> float | None:
    if name not in settings:
        return None
    try:
        value = float(settings[name])
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise UserError(f"{name} {settings[name][:50]!r}: give a number from {low:g} to {high:g}")
    return value


class SharedTransport(LocalTransport):
    """See base.Transport. `facts`: what is limited, and by what."""

    def __init__(self, root: Path, share: Share) -> None:
        super().__init__(root)
        self._group: cgroups.Group | None = None
        self._prefix: list[str] = []
        limits = {"cpus": share.cpus, "memory_mb": share.memory_mb}
        asked = {name: value for name, value in limits.items() if value is not None}
        try:
            self._group = cgroups.make(share.cpus, share.memory_mb)
        except cgroups.NoGroup as why:
            self._prefix, given = _without_a_group(share)
            self.facts: dict[str, Any] = {**given, "asked": asked, "by": f"affinity and a limit of data memory ({why})"[:300]}
        else:
            self.facts = {**asked, "by": f"a control group, version {self._group.version}"}
            if share.cpus is not None:
                self.facts["period_us"] = cgroups.PERIOD_US
        if share.stands_for:
            self.facts["stands_for"] = share.stands_for

    def _limited(self, argv: Sequence[str]) -> list[str]:
        return self._group.inside(argv) if self._group is not None else [*self._prefix, *argv]

    def run(self, argv: Sequence[str], deadline: Deadline) -> Completed:
        return super().run(self._limited(argv), deadline)

    def stream(self, argv: Sequence[str], deadline: Deadline) -> Iterator[bytes]:
        return super().stream(self._limited(argv), deadline)

    def close(self) -> None:
        """The group goes, unless a launch still runs in it."""
        if self._group is not None:
            self._group.remove()


def _without_a_group(share: Share) -> tuple[list[str], dict[str, Any]]:
    """What to start programs with, and what they then have."""
    prefix: list[str] = []
    given: dict[str, Any] = {}
    if share.cpus is not None:
        cpus = sorted(os.sched_getaffinity(0))[: math.ceil(share.cpus)]
        prefix += [_tool("taskset"), "-c", ",".join(map(str, cpus))]
        given["cpus"] = len(cpus)
    if share.memory_mb is not None:
        prefix += [_tool("prlimit"), f"--data={share.memory_mb * 10**6}"]
        given["memory_mb"] = share.memory_mb
    return prefix, given


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise UserError(f"a share of this host needs a control group, which cannot be made here, or {name} (of util-linux)")
    return found
