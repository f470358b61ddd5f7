"""Writing an APK: a zip whose bytes depend on what is in it alone, stored entries where Android can map them."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

#: the oldest date that Android's tools write
_DATE = (1981, 1, 1, 1, 1, 2)
#: says how an entry is aligned, so that apksigner keeps it so, and pads
_ALIGNED = 0xD935
_EXTRA = struct.Struct("<HHH")
_LOCAL_HEADER_BYTES = 30
#: of the table of resources, which Android 11 and newer map and so want stored
_ALIGNMENT_BYTES = 4
STORED = ("resources.arsc",)


def write(target: Path, entries: Mapping[str, bytes], level: int = 9) -> None:
    """`entries` by their names in the APK, sorted. level: of the compression, 1 is quick."""
    with zipfile.ZipFile(target, "w") as out:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system = 0
            info.external_attr = 0
            if name in STORED:
                info.compress_type = zipfile.ZIP_STORED
                assert out.fp is not None
                info.extra = _padding(out.fp.tell() + _LOCAL_HEADER_BYTES + len(name))
            else:
                info.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(info, entries[name], compresslevel=level)


def _padding(offset: int) -> bytes:
    short = -(offset + _EXTRA.size) % _ALIGNMENT_BYTES
    return _EXTRA.pack(_ALIGNED, 2 + short, _ALIGNMENT_BYTES) + b"\0" * short


def data_offset(apk: Path, name: str) -> int:
    """Where an entry's content begins in the file."""
    with zipfile.ZipFile(apk) as opened, apk.open("rb") as file:
        file.seek(opened.getinfo(name).header_offset)
        header = file.read(_LOCAL_HEADER_BYTES)
        start = opened.getinfo(name).header_offset
    name_bytes, extra_bytes = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    return start + _LOCAL_HEADER_BYTES + name_bytes + extra_bytes
