"""Reading a FlatBuffer that may be damaged or hostile: every offset is looked at before it is followed.

The layout is https://flatbuffers.dev/internals/: little-endian; a table begins with the distance back to its vtable, which has
for each field where in the table it is, 0 where it is absent.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from device_runner.needs.malformed import Malformed

#: entries of one list; the largest model that we know has some thousands of operators
MAX_ENTRIES = 1_000_000
_MAX_NAME_BYTES = 4096
_OFFSET, _DISTANCE, _SLOT, _INT32, _INT8, _UINT64 = map(struct.Struct, ("<I", "<i", "<H", "<i", "<b", "<Q"))


class Data(Protocol):
    """Bytes, or a file mapped into memory."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> bytes: ...


@dataclass(frozen=True)
class Table:
    """One table, at `at` of `data`. Fields are asked for by their place in the schema; all raise Malformed."""

    data: Data
    at: int

    def int32(self, slot: int, default: int = 0) -> int:
        where = self._where(slot)
        return _read(self.data, where, _INT32) if where else default

    def uint64(self, slot: int, default: int = 0) -> int:
        where = self._where(slot)
        return _read(self.data, where, _UINT64) if where else default

    def int8(self, slot: int, default: int = 0) -> int:
        where = self._where(slot)
        return _read(self.data, where, _INT8) if where else default

    def text(self, slot: int) -> str:
        """A string, "" where there is none; what is no UTF-8 in it is replaced."""
        where = self._where(slot)
        if not where:
            return ""
        start = where + _read(self.data, where, _OFFSET)
        size = _read(self.data, start, _OFFSET)
        if size > _MAX_NAME_BYTES or start + 4 + size > len(self.data):
            raise Malformed(f"a name of {size} bytes")
        return self.data[start + 4 : start + 4 + size].decode("utf-8", "replace")

    def tables(self, slot: int) -> Iterator[Table]:
        """The tables of a list."""
        where = self._where(slot)
        if not where:
            return
        start = where + _read(self.data, where, _OFFSET)
        count = _read(self.data, start, _OFFSET)
        if count > MAX_ENTRIES or start + 4 + 4 * count > len(self.data):
            raise Malformed(f"a list of {count} entries")
        for entry in range(start + 4, start + 4 + 4 * count, 4):
            yield Table(self.data, entry + _read(self.data, entry, _OFFSET))

    def _where(self, slot: int) -> int:
        """Where the field is, 0 where it is absent."""
        vtable = self.at - _read(self.data, self.at, _DISTANCE)
        entry = 4 + 2 * slot
        if entry + 2 > _read(self.data, vtable, _SLOT):
            return 0
        distance = _read(self.data, vtable + entry, _SLOT)
        return self.at + distance if distance else 0


def root(data: Data, identifiers: tuple[bytes, ...]) -> Table:
    """The table that all begins with. Raises Malformed for a file without one of `identifiers` in its place."""
    if data[4:8] not in identifiers:
        raise Malformed(f"no identifier {identifiers[0].decode()}")
    return Table(data, _read(data, 0, _OFFSET))


def _read(data: Data, at: int, form: struct.Struct) -> int:
    if at < 0 or at + form.size > len(data):
        raise Malformed("an offset that leads out of the file")
    value: int = form.unpack(data[at : at + form.size])[0]
    return value
