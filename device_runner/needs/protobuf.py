"""Reading a protobuf message that may be damaged or hostile, field by field, without its schema and without copying it.

The encoding is https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from device_runner.needs.flatbuffer import Data
from device_runner.needs.malformed import Malformed

#: of all messages of a file together: some seconds
MAX_FIELDS = 5_000_000
MAX_DEPTH = 32
_MAX_NAME_BYTES = 4096
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass
class Budget:
    """How many fields are still gone through."""

    left: int = MAX_FIELDS


@dataclass(frozen=True)
class Message:
    """The bytes `start` to `end` of `data`, taken as a message."""

    data: Data
    start: int
    end: int
    depth: int = 0
    budget: Budget = field(default_factory=Budget)

    def fields(self) -> Iterator[tuple[int, int | Message]]:
        """Number and value of each field in its order; fixed-size ones, which nobody here asks for, are 0.

        Raises Malformed for what is no message, too deep, or longer than anything we go through.
        """
        if self.depth > MAX_DEPTH:
            raise Malformed(f"messages in messages, {MAX_DEPTH} deep")
        at = self.start
        while at < self.end:
            self.budget.left -= 1
            if self.budget.left < 0:
                raise Malformed(f"over {MAX_FIELDS} fields")
            key, at = self._varint(at)
            number, kind = key >> 3, key & 7
            if kind == _VARINT:
                value, at = self._varint(at)
                yield number, value
            elif kind == _BYTES:
                size, at = self._varint(at)
                if at + size > self.end:
                    raise Malformed("a field that leads out of its message")
                yield number, Message(self.data, at, at + size, self.depth + 1, self.budget)
                at += size
            elif kind in (_FIXED64, _FIXED32):
                at += 8 if kind == _FIXED64 else 4
                yield number, 0
            else:
                raise Malformed(f"a field of kind {kind}")
        if at != self.end:
            raise Malformed("a field that leads out of its message")

    def text(self) -> str:
        """The bytes as a name; what is no UTF-8 in it is replaced."""
        if self.end - self.start > _MAX_NAME_BYTES:
            raise Malformed(f"a name of {self.end - self.start} bytes")
        return self.data[self.start : self.end].decode("utf-8", "replace")

    def _varint(self, at: int) -> tuple[int, int]:
        value = 0
        for place, byte in enumerate(self.data[at : min(at + 10, self.end)]):
            value |= (byte & 0x7F) << (7 * place)
            if not byte & 0x80:
                return value & (2**64 - 1), at + place + 1
        raise Malformed("a number without an end")
