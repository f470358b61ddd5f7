"""A directory of this host as a device of its own: the local transport, with every command put through a prefix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from device_runner.deadline import Deadline
from device_runner.transports.base import Completed, Target
from device_runner.transports.local import LocalTransport

#: Target.address -> what is put before every command
PREFIXES: dict[str, tuple[str, ...]] = {}


class ContainedTransport(LocalTransport):
    kind = "contained"

    def __init__(self, root: Path, prefix: Sequence[str]) -> None:
        super().__init__(root)
        self._prefix = tuple(prefix)

    def run(self, argv: Sequence[str], deadline: Deadline) -> Completed:
        return super().run([*self._prefix, *argv], deadline)


def connect(target: Target) -> ContainedTransport:
    """As the other transports have it; `address` is the directory."""
    return ContainedTransport(Path(target.address), PREFIXES[target.address])
