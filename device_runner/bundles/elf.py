"""What a 64-bit ELF file says of itself: its machine, the pages it can be mapped in, how new a C library it wants."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from edgedeploy.errors import UserError

_LOAD = 1
_MACHINES = {62: "x86_64", 183: "aarch64"}
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
#: the section that names the versions of other libraries' symbols which are needed, and its entries
_VERSIONS_NEEDED = 0x6FFFFFFE
_NEEDED = struct.Struct("<HHIII")
_VERSION = struct.Struct("<IHHII")
_GLIBC = re.compile(rb"GLIBC_([0-9]{1,2})\.([0-9]{1,3})(?:\.[0-9]+)?")
#: no table of a library that we know is near it
_MAX_TABLE = 4 * 2**20


@dataclass(frozen=True)
class Elf:
    machine: str
    #: the largest page of a kernel that can load it
    page_bytes: int
    #: the oldest GNU C library it starts with; None for one that does not ask for any
    glibc: tuple[int, int] | None


def read(path: Path) -> Elf:
    """Headers and the table of needed versions only. Raises UserError for a file that is no 64-bit little-endian ELF."""
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size or head[:6] != b"\x7fELF\x02\x01":
            raise UserError(f"{path} is not a 64-bit program or library")
        fields = _HEADER.unpack(head)
        segments = list(_table(file, fields[5], fields[10], _SEGMENT))
        sections = list(_table(file, fields[6], fields[12], _SECTION))
        versions = _glibc_versions(file, sections)
    aligned = [segment[7] for segment in segments if segment[0] == _LOAD]
    if not aligned:
        raise UserError(f"{path} has nothing to load")
    return Elf(_MACHINES.get(fields[2], str(fields[2])), min(aligned), max(versions, default=None))


def _table(file: BinaryIO, offset: int, count: int, entry: struct.Struct) -> Iterator[tuple[Any, ...]]:
    """The whole entries that are there of a table of at most 4,096."""
    content = _part(file, offset, min(count, 4096) * entry.size)
    return entry.iter_unpack(content[: len(content) // entry.size * entry.size])


def _part(file: BinaryIO, offset: int, size: int) -> bytes:
    """What is there of that part of the file, which may say anything of itself."""
    if offset >= file.seek(0, 2):
        return b""
    file.seek(offset)
    return file.read(min(size, _MAX_TABLE))


def _glibc_versions(file: BinaryIO, sections: Sequence[tuple[Any, ...]]) -> set[tuple[int, int]]:
    found = set()
    for section in sections:
        if section[1] == _VERSIONS_NEEDED and section[6] < len(sections):
            names = sections[section[6]]
            table, text = _part(file, section[4], section[5]), _part(file, names[4], names[5])
            for at in _version_names(table):
                known = _GLIBC.fullmatch(text[at : at + 40].partition(b"\0")[0])
                if known:
                    found.add((int(known.group(1)), int(known.group(2))))
    return found


def _version_names(table: bytes) -> Iterator[int]:
    """Where in the string table the names of the versions are: a chain of libraries, each with a chain of versions."""
    library = 0
    while library + _NEEDED.size <= len(table):
        _, count, _, first, step = _NEEDED.unpack_from(table, library)
        version = library + first
        for _ in range(count):
            if version + _VERSION.size > len(table):
                break
            *_, name, following = _VERSION.unpack_from(table, version)
            yield name
            if not following:
                break
            version += following
        if not step:
            break
        library += step
