"""Seeded damage to JSON documents and to bytes: the kinds that parsers and loaders are caught by."""

from __future__ import annotations

import copy
import io
import json
import random
import zipfile
from typing import Any

NASTY: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**32, 2**63, -(2**63), 10**30, 0.5, -0.0, 1e308, 1e-320),
    *(
        "",
        " ",
        ".",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        "a" * 5000,
        "\x00",
        "model.onnx\x00.txt",
        "\u202e",
        "\ud7ff",
        "\x1b[31m\x07",
    ),
    *("%s%n", "$(id)", "float32", "int8", "int64", "bool"),
    *([], [[]], {}, [0], [-1], [2**40, 2**40], [1] * 100, [1, 3, 64, 64], [None]),
    *({"op": "cast"}, {"op": "reshape", "shape": [0]}),
)


def _nasty(rng: random.Random) -> Any:
    # a copy: later damage goes inside it
    return copy.deepcopy(rng.choice(NASTY))


def _paths(node: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [here] if here else []
    if isinstance(node, dict):
        for key, value in node.items():
            found += _paths(value, (*here, key))
    elif isinstance(node, list):
        for i, value in enumerate(node):
            found += _paths(value, (*here, i))
    return found


def document(source: Any, rng: random.Random) -> Any:
    """A copy of a JSON document with one to three values replaced, removed, added or repeated."""
    changed = json.loads(json.dumps(source))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        paths = _paths(changed)
        if not paths:
            return _nasty(rng)
        *parents, last = rng.choice(paths)
        owner = changed
        for step in parents:
            owner = owner[step]
        action = rng.random()
        if action < 0.65:
            owner[last] = _nasty(rng)
        elif action < 0.8:
            del owner[last]
        elif isinstance(owner, dict):
            owner[rng.choice(("extra", "", "__proto__", "op", "name", "\x1b[31mred\x07"))] = _nasty(rng)
        else:
            owner.insert(rng.randrange(len(owner) + 1), copy.deepcopy(rng.choice((owner[last], _nasty(rng)))))
    return changed


def text(source: str, rng: random.Random) -> bytes:
    """JSON text damaged as text: cut, nested past reason, repeated keys, bytes that are no UTF-8."""
    kind = rng.randrange(6)
    raw = source.encode()
    if kind == 0:
        return raw[: rng.randrange(len(raw))]
    if kind == 1:
        return b"[" * rng.choice((100, 10_000, 200_000))
    if kind == 2:
        return raw[:1] + b'"protocol": 7, "schema_version": 7, ' + raw[1:]
    if kind == 3:
        at = rng.randrange(len(raw))
        return raw[:at] + rng.choice((b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\x00", b"\x1b")) + raw[at:]
    if kind == 4:
        return raw + rng.choice((b"x", raw, b"\n{}\n", b"\x00"))
    return rng.choice((b"", b" ", b"NaN", b"Infinity", b"nul", b'"', b"\xef\xbb\xbf" + raw, raw.decode().encode("utf-16")))


def blob(source: bytes, rng: random.Random) -> bytes:
    """A model file damaged: cut, bytes flipped, a stretch zeroed, filled, moved or repeated, or lengths blown up."""
    size = len(source)
    kind = rng.randrange(8)
    if kind == 0:
        return source[: rng.choice((0, 1, 3, 8, 64, rng.randrange(size)))]
    damaged = bytearray(source)
    if kind <= 2:
        for _ in range(rng.choice((1, 1, 4, 32, 512))):
            damaged[rng.randrange(size)] ^= 1 << rng.randrange(8)
    elif kind == 3:
        # the head of these formats holds offsets and sizes
        for _ in range(rng.choice((1, 2, 8))):
            at = rng.randrange(min(size - 4, 4096))
            damaged[at : at + 4] = rng.choice(
                (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x00\x00\x00\x00")
            )
    elif kind == 4:
        start, length = rng.randrange(size), rng.choice((16, 256, 4096))
        damaged[start : start + length] = bytes([rng.choice((0, 255, 65))]) * len(damaged[start : start + length])
    elif kind == 5:
        start, length, to = rng.randrange(size), rng.choice((16, 256)), rng.randrange(size)
        damaged[to:to] = damaged[start : start + length]
    elif kind == 6:
        start, length = rng.randrange(size), rng.choice((1, 4, 16, 256))
        del damaged[start : start + length]
    else:
        # the tail of a flatbuffer holds its tables
        for _ in range(rng.choice((1, 4, 16))):
            damaged[max(0, size - 1 - rng.randrange(min(size, 8192)))] = rng.randrange(256)
    return bytes(damaged)


#: what is parsed as Python, and what would be if the dtype or the size of it were not looked at
_HEADERS = (
    *(b"{'descr': ((((", b"  {\n 'descr'\n   1", b"(" * 5000, b"\x00", b""),
    *(
        b"{'descr': %s, 'fortran_order': False, 'shape': %s, }" % each
        for each in (
            *((b"'<f4'", shape) for shape in (b"(1,)", b"(-1,)", b"(" + b"9" * 12 + b",)", b"(" + b"9" * 40 + b",)", b"()")),
            *((dtype, b"(1,)") for dtype in (b"'|O'", b"[('a', '<f4')]", b"'<U1'", b"'<f16'", b"'<m8[s]'")),
        )
    ),
)


def _npy(rng: random.Random) -> bytes:
    header = rng.choice(_HEADERS)
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + rng.randbytes(rng.choice((0, 4, 64)))


def array(source: bytes, rng: random.Random) -> bytes:
    """An array file (.npy or .npz) damaged as a file, or turned into one that is none: other container, header or members."""
    if rng.random() < 0.4:
        return blob(source, rng)
    if rng.random() < 0.3:
        return _npy(rng)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))) as archive:
        for name in rng.sample(("array", "labels", "labels.npy", "image.npy", "a/../b.npy", "\x1b[31m.npy", ".npy"), 2):
            archive.writestr(name, rng.choice((source, _npy(rng), b"", b"raw")))
    return buffer.getvalue()
