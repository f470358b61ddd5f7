"""A share of this host's CPUs and memory for what is started in it: a control group of the kernel's, either version.

A group is made below the one that we are in ourselves, so that it never gets more than we have. Version 2 gives no
controllers to the children of a group that has processes; where ours is such a one, the group is made at the top, which only
root may do.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
#: a share is given anew so often: with the usual 100 ms, an inference of 20 ms on half a CPU would be not slowed down at all
#: or stopped for 50 ms
PERIOD_US = 10_000
_LEAST_US = 1000
_PREFIX = "edgedeploy"
_COUNT = itertools.count()
_ENTER = 'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit 126; shift; done; shift; exec "$@"'


class NoGroup(Exception):
    """This user, or this kernel, makes no control group. The text says why."""


@dataclass(frozen=True)
class Group:
    """`directories` of the group: one for each controller in version 1, one in all in version 2."""

    version: int
    directories: tuple[Path, ...]

    def inside(self, argv: Sequence[str]) -> list[str]:
        """The argument list that runs `argv` in the group; what that starts is in it too."""
        return ["sh", "-c", _ENTER, "sh", *map(str, self.directories), "--", *argv]

    def remove(self) -> None:
        """A group in which something still runs stays, and is removed by who makes the next one."""
        for directory in self.directories:
            with contextlib.suppress(OSError):
                directory.rmdir()


def make(cpus: float | None, memory_mb: int | None, root: Path = _ROOT) -> Group:
    """A group with that many CPUs' time (0.5: half of one) and MB (10^6 bytes). Raises NoGroup."""
    wanted = [name for name, value in (("cpu", cpus), ("memory", memory_mb)) if value is not None]
    own = _own()
    parents = [root / name / own[name].lstrip("/") for name in wanted if name in own]
    if len(parents) == len(wanted):
        return _version_1(dict(zip(wanted, parents, strict=True)), cpus, memory_mb)
    return _version_2(root, own.get("", "/"), wanted, cpus, memory_mb)


def _own() -> dict[str, str]:
    """Controller -> our group's path; version 2 has the name ""."""
    found: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            found |= dict.fromkeys(controllers.split(","), path)
    return found


def _version_1(parents: dict[str, Path], cpus: float | None, memory_mb: int | None) -> Group:
    group = Group(1, tuple(_child(parent) for parent in parents.values()))
    at = dict(zip(parents, group.directories, strict=True))
    if cpus is not None:
        _set(group, at["cpu"] / "cpu.cfs_period_us", str(PERIOD_US))
        _set(group, at["cpu"] / "cpu.cfs_quota_us", str(_quota_us(cpus)))
    if memory_mb is not None:
        _set(group, at["memory"] / "memory.limit_in_bytes", str(memory_mb * 10**6))
    return group


def _version_2(root: Path, own: str, wanted: list[str], cpus: float | None, memory_mb: int | None) -> Group:
    why = "this kernel has no cpu and memory controllers of either version"
    for parent in dict.fromkeys((root / own.lstrip("/"), root)):
        try:
            if not set(wanted) <= set((parent / "cgroup.controllers").read_text().split()):
                continue
            (parent / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in wanted))
        except OSError as error:
            why = f"{parent}: {error.strerror}"
            continue
        group = Group(2, (_child(parent),))
        if cpus is not None:
            _set(group, group.directories[0] / "cpu.max", f"{_quota_us(cpus)} {PERIOD_US}")
        if memory_mb is not None:
            _set(group, group.directories[0] / "memory.max", str(memory_mb * 10**6))
        return group
    raise NoGroup(why)


def _quota_us(cpus: float) -> int:
    return max(_LEAST_US, round(cpus * PERIOD_US))


def _child(parent: Path) -> Path:
    """A new group below it; those of processes that are gone go first."""
    for old in parent.glob(f"{_PREFIX}-*-*"):
        pid = old.name.split("-")[1]
        if pid.isdigit() and not Path("/proc", pid).exists():
            with contextlib.suppress(OSError):
                old.rmdir()
    child = parent / f"{_PREFIX}-{os.getpid()}-{next(_COUNT)}"
    try:
        child.mkdir()
    except OSError as error:
        raise NoGroup(f"{child}: {error.strerror}") from None
    return child


def _set(group: Group, file: Path, value: str) -> None:
    try:
        file.write_text(value)
    except OSError as error:
        group.remove()
        raise NoGroup(f"{file}: {error.strerror}") from None
