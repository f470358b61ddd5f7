"""A board on this host: real programs of this host, with /sys (and what is given of /proc) in another directory."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from device_runner.deadline import Deadline
from device_runner.inventory import Device
from device_runner.transports.base import Completed, Target
from device_runner.transports.local import LocalTransport


class Elsewhere(LocalTransport):
    """`refuse`: argument lists that fail there, as a device without root has it; what they would do is not done."""

    def __init__(self, root: Path, refuse: Callable[[Sequence[str]], Completed | None] = lambda argv: None) -> None:
        super().__init__(root / "work")
        self.tree, self.refuse = root, refuse
        (root / "sys").mkdir(exist_ok=True)

    def _moved(self, part: str) -> str:
        there = f"{self.tree}{part}"
        return there if part.startswith("/sys") or (part.startswith("/proc") and Path(there).exists()) else part

    def run(self, argv: Sequence[str], deadline: Deadline) -> Completed:
        refused = self.refuse(argv)
        if refused is not None:
            return refused
        # of a script, each path in it
        words = (re.sub(r"(?<!\S)/(?:sys|proc)/\S*", lambda path: self._moved(path[0]), word) for word in argv)
        moved = super().run(list(words), deadline)
        said = moved.stdout.replace(bytes(self.tree / "sys"), b"/sys").replace(bytes(self.tree / "proc"), b"/proc")
        return Completed(moved.exit_code, said, moved.stderr)

    def write(self, path: str, content: str) -> None:
        """A file below /sys, or with its whole path below /."""
        target = Path(f"{self.tree}{path}") if path.startswith("/") else self.tree / "sys" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)

    def read(self, path: str) -> str:
        return (self.tree / "sys" / path).read_text().strip()


@dataclass(frozen=True)
class Board(Device):
    """A device whose connection is that; on the command line it is nobody's name."""

    transport: Elsewhere = field(kw_only=True)

    def connect(self) -> Elsewhere:
        return self.transport


def board(root: Path, name: str = "board") -> Board:
    root.mkdir(exist_ok=True)
    return Board(name, Target("ssh", f"pi@{name}"), transport=Elsewhere(root))


def programs(patch: pytest.MonkeyPatch, directory: Path, **scripts: str) -> None:
    """Programs of a phone or a board, as shell scripts, before those of this host."""
    import os

    directory.mkdir(exist_ok=True)
    for name, script in scripts.items():
        file = directory / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
    patch.setenv("PATH", f"{directory}:{os.environ['PATH']}")


GOVERNOR = "devices/system/cpu/cpu{}/cpufreq/scaling_governor"


def with_governors(made: Board, governor: str = "schedutil", count: int = 2) -> Board:
    for cpu in range(count):
        made.transport.write(GOVERNOR.format(cpu), governor + "\n")
    return made
