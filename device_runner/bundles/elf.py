"""What a 64-bit ELF file says of itself: its machine, the pages it can be mapped in, how new a C library it wants."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from edgedeploy.errors import UserError

_LOAD = 1
_MACHINES = {62: "x86_64", 183: "aarch64"}
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_GLIBC = re.compile(rb"\0GLIBC_([0-9]{1,2})\.([0-9]{1,3})(?=[\0.])")
_SEGMENT = struct.Struct("<IIQQQQQQ")


@dataclass(frozen=True)
class Elf:
    machine: str
    #: the largest page of a kernel that can load it
    page_bytes: int
    #: the oldest GNU C library it starts with; None for one that does not ask for any
    glibc: tuple[int, int] | None


def read(path: Path) -> Elf:
    """Raises UserError for a file that is no 64-bit little-endian ELF."""
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size or head[:6] != b"\x7fELF\x02\x01":
            raise UserError(f"{path} is not a 64-bit program or library")
        fields = _HEADER.unpack(head)
        file.seek(fields[5])
        count = min(fields[10], 256)
        table = file.read(count * _SEGMENT.size)
        file.seek(0)
        versions = {(int(major), int(minor)) for major, minor in _GLIBC.findall(file.read())}
    segments = [_SEGMENT.unpack_from(table, at * _SEGMENT.size) for at in range(len(table) // _SEGMENT.size)]
    aligned = [segment[7] for segment in segments if segment[0] == _LOAD]
    if not aligned:
        raise UserError(f"{path} has nothing to load")
    return Elf(_MACHINES.get(fields[2], str(fields[2])), min(aligned), max(versions, default=None))
