"""The smallest models that ask a runtime whether it has something: it either takes such a model, or refuses it."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from device_runner.needs.tflite_file import IDENTIFIER

#: of a table, by its place in the schema: a number, a text, a list of numbers or of tables
_Fields = Mapping[int, Any]
#: of the union of operators' options
_ADD_OPTIONS = 11


def onnx(*, ir_version: int, opsets: Mapping[str, int], operator: str = "Identity", domain: str = "") -> bytes:
    """A model of one operator, from x to y, of one float each."""
    sets = b"".join(_field(8, _field(1, name.encode()) + _number(2, version)) for name, version in opsets.items())
    node = _field(1, b"x") + _field(2, b"y") + _field(4, operator.encode()) + _field(7, domain.encode())
    shape = _field(2, _field(1, _number(1, 1)))
    ends = [_field(1, name) + _field(2, _field(1, _number(1, 1) + shape)) for name in (b"x", b"y")]
    graph = _field(1, node) + _field(2, b"probe") + _field(11, ends[0]) + _field(12, ends[1])
    return _number(1, ir_version) + _field(7, graph) + sets


def tflite(code: int, version: int) -> bytes:
    """A model that lists that operator, and does nothing: a float x is its input, a float y its output."""
    tensors = [{0: [1], 3: name} for name in ("x", "y")]
    ends = [[{0: name, 1: at}] for at, name in enumerate(("x", "y"))]
    return _flatbuffer(
        {
            0: 3,
            1: [{0: min(code, 127), 2: version, 3: code}],
            2: [{0: tensors, 1: [0], 2: [1]}],
            4: [{}],
            7: [{0: ends[0], 1: ends[1], 2: "serving_default"}],
        }
    )


def tflite_sum_behind(value: float) -> bytes:
    """y = x + `value`, a float each, with the value kept behind the flatbuffer."""
    tensors = [{0: [1], 3: name, 2: buffer} for name, buffer in (("x", 0), ("value", 1), ("y", 0))]
    ends = [[{0: "x", 1: 0}], [{0: "y", 1: 2}]]
    add = {0: 0, 1: [0, 1], 2: [2], 3: _ADD_OPTIONS, 4: _Table({0: 0})}

    def model(at: int) -> _Fields:
        return {
            0: 3,
            1: [{0: 0, 2: 1, 3: 0}],
            2: [{0: tensors, 1: [0], 2: [2], 3: [add]}],
            4: [{}, {1: _Number64(at), 2: _Number64(4)}],
            7: [{0: ends[0], 1: ends[1], 2: "serving_default"}],
        }

    # the place does not depend on what is written into it
    at = len(_flatbuffer(model(0)))
    return _flatbuffer(model(at)) + struct.pack("<f", value)


@dataclass(frozen=True)
class _Number64:
    """A number of eight bytes, in a table."""

    value: int


@dataclass(frozen=True)
class _Table:
    """A table of its own, in another."""

    fields: _Fields


def _flatbuffer(model: _Fields) -> bytes:
    out = bytearray(4) + IDENTIFIER
    struct.pack_into("<I", out, 0, _table(out, model))
    out += bytes(-len(out) % 16)
    return bytes(out)


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _table(out: bytearray, fields: _Fields) -> int:
    """Append a table behind its vtable, then what it points to; where it is. A smaller number stands in its first bytes."""
    slots = max(fields, default=-1) + 1
    # each in eight bytes of its own, from the eighth on: what is long is aligned then
    places = {slot: 8 + 8 * index for index, slot in enumerate(fields)}
    size = 8 + 8 * len(fields)
    vtable = len(out)
    out += struct.pack(f"<{2 + slots}H", 4 + 2 * slots, size, *(places.get(slot, 0) for slot in range(slots)))
    _align(out)
    at = len(out)
    out += struct.pack("<i", at - vtable) + bytes(size - 4)
    for slot, value in fields.items():
        where = at + places[slot]
        if isinstance(value, int):
            struct.pack_into("<i", out, where, value)
        elif isinstance(value, _Number64):
            struct.pack_into("<Q", out, where, value.value)
        elif isinstance(value, _Table):
            struct.pack_into("<I", out, where, _table(out, value.fields) - where)
        else:
            struct.pack_into("<I", out, where, _apart(out, value) - where)
    return at


def _apart(out: bytearray, value: str | Sequence[int] | Sequence[_Fields]) -> int:
    """Append a text or a list; where it is."""
    at = len(out)
    out += struct.pack("<I", len(value))
    if isinstance(value, str):
        out += value.encode() + b"\0"
        _align(out)
        return at
    out += bytes(4 * len(value))
    for where, entry in zip(range(at + 4, at + 4 + 4 * len(value), 4), value, strict=True):
        if isinstance(entry, Mapping):
            struct.pack_into("<I", out, where, _table(out, entry) - where)
        else:
            struct.pack_into("<i", out, where, entry)
    return at


def _align(out: bytearray) -> None:
    out += bytes(-len(out) % 8)
