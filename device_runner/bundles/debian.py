"""A Debian package that is not installed, only read: by HTTPS from a mirror of Debian's."""

from __future__ import annotations

import os
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

from device_runner.bundles import https
from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from device_runner.bundles.pins import Package

_MIRROR = "https://deb.debian.org/debian"
_MAGIC = b"!<arch>\n"
_HEADER_BYTES = 60
#: of the control part and the data part; no package that is pinned has more than three members
_MOST_MEMBERS = 8
_CHUNK_BYTES = 2**20


def download(package: Package, scratch: Path) -> Path:
    """Fetch it into `scratch`. Raises TransientError when it cannot be had, UserError for a mirror that is not HTTPS."""
    mirror = os.environ.get("EDGEDEPLOY_DEBIAN_MIRROR") or _MIRROR
    got = scratch / package.archive
    https.download(f"{mirror.rstrip('/')}/pool/{package.pool}/{urllib.parse.quote(package.archive, safe='~')}", got)
    return got


def data(deb: Path, scratch: Path) -> Path:
    """The archive of the package's files, out of the package. Raises UserError for what is no package."""
    with deb.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise UserError(f"{deb.name} is no Debian package")
        for _ in range(_MOST_MEMBERS):
            header = file.read(_HEADER_BYTES)
            name, size = header[:16].strip().decode("ascii", "replace").rstrip("/"), header[48:58].strip()
            if len(header) < _HEADER_BYTES or not size.isdigit():
                break
            if name.startswith("data.tar"):
                target, left = scratch / "data.tar", int(size)
                with target.open("wb") as out:
                    while left > 0 and (piece := file.read(min(left, _CHUNK_BYTES))):
                        out.write(piece)
                        left -= len(piece)
                return target
            # members begin at even places
            file.seek(int(size) + int(size) % 2, os.SEEK_CUR)
    raise UserError(f"{deb.name} has no files in it")
