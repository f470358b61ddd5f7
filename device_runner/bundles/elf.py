"""What the header of a 64-bit ELF file says: for what machine it is, and in which pages it can be mapped."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from edgedeploy.errors import UserError

_LOAD = 1
_MACHINES = {62: "x86_64", 183: "aarch64"}
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")


@dataclass(frozen=True)
class Elf:
    machine: str
    #: the largest page of a kernel that can load it
    page_bytes: int


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
    segments = [_SEGMENT.unpack_from(table, at * _SEGMENT.size) for at in range(len(table) // _SEGMENT.size)]
    aligned = [segment[7] for segment in segments if segment[0] == _LOAD]
    if not aligned:
        raise UserError(f"{path} has nothing to load")
    return Elf(_MACHINES.get(fields[2], str(fields[2])), min(aligned))
