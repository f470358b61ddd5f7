"""Small files of /proc and /sys whose paths are known only while it runs; what is asked again and again is in `asking`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport

#: names of /sys entries that we put into argument lists and records
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}")


def entries(transport: Transport, directory: str, deadline: Deadline) -> list[str]:
    """The plain names in a directory, sorted; empty when it is not there."""
    listed = transport.run(["ls", directory], deadline)
    return sorted(name for name in listed.text.split() if _PLAIN.fullmatch(name))


def read(transport: Transport, paths: Sequence[str], deadline: Deadline) -> dict[str, str]:
    """path -> first line, of those that can be read. One process for all: each costs a round trip, and disturbs."""
    if not paths:
        return {}
    # /dev/null makes grep print names also for a single file
    printed = transport.run(["grep", "-s", "", *paths, "/dev/null"], deadline)
    found: dict[str, str] = {}
    for line in printed.text.split("\n"):
        path, separator, value = line.partition(":")
        if separator and path in paths:
            found.setdefault(path, value.strip())
    return found


def whole(value: str | None) -> int | None:
    """A whole number out of a /sys file, None for anything else."""
    return int(value) if value is not None and re.fullmatch(r"-?[0-9]{1,15}", value) else None
