"""The app's manifest: what Gradle adds to the source, and a flag that is newer than the resources we compile against."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from pathlib import Path

from device_runner.app.sources import ID
from edgedeploy.errors import InternalError

ANDROID = "http://schemas.android.com/apk/res/android"
_TYPE = f"{{{ANDROID}}}foregroundServiceType"
#: android.R.attr.foregroundServiceType, and ServiceInfo.FOREGROUND_SERVICE_TYPE_SPECIAL_USE
_TYPE_ID, _SPECIAL_USE = 0x01010599, 0x40000000
_IDS, _START = 0x0180, 0x0102
_CHUNK = struct.Struct("<HHI")
_ATTRIBUTE_BYTES = 20


def for_aapt2(source: Path, target: Path) -> None:
    """The source's manifest with its package, and with a type of foreground service that the resources of Android 13 know."""
    ET.register_namespace("android", ANDROID)
    tree = ET.parse(source)  # noqa: S314 (our own file)
    root = tree.getroot()
    root.set("package", ID)
    for service in root.iter("service"):
        if service.get(_TYPE) != "specialUse":
            raise InternalError("a service of another type than specialUse")
        service.set(_TYPE, "dataSync")
    tree.write(target, "utf-8", xml_declaration=True)


def with_special_use(compiled: bytes) -> bytes:
    """The compiled manifest (Android's binary XML) with the type that the source says.

    Raises InternalError where there is none.
    """
    out = bytearray(compiled)
    ids: tuple[int, ...] = ()
    changed = 0
    at = _CHUNK.unpack_from(out)[1]
    while at + _CHUNK.size <= len(out):
        kind, header, size = _CHUNK.unpack_from(out, at)
        if size < _CHUNK.size:
            raise InternalError("the compiled manifest is not as it should be")
        if kind == _IDS:
            ids = struct.unpack_from(f"<{(size - header) // 4}I", out, at + header)
        elif kind == _START:
            # after namespace and name: where the attributes begin, how long one is, how many
            start, length, count = struct.unpack_from("<HHH", out, at + header + 8)
            for index in range(count):
                place = at + header + start + index * length
                name = struct.unpack_from("<I", out, place + 4)[0]
                if length == _ATTRIBUTE_BYTES and name < len(ids) and ids[name] == _TYPE_ID:
                    struct.pack_into("<I", out, place + 16, _SPECIAL_USE)
                    changed += 1
        at += size
    if changed != 1:
        raise InternalError(f"{changed} services have a type in the compiled manifest")
    return bytes(out)
