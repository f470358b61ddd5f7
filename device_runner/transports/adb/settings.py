"""What a Target of the adb transport may say."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from device_runner.transports.adb.server import Address
from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from device_runner.transports.base import Target

#: what a shell on a phone may write to, and run programs from
DEFAULT_WORK_ROOT = "/data/local/tmp/edgedeploy"
_SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:%\[\]-]{0,127}|\[[0-9a-fA-F:]{2,60}\]:[0-9]{1,5}")
_WORK_ROOT = re.compile(r"(/[A-Za-z0-9_+@.,=-]+){2,}")


@dataclass(frozen=True)
class Settings:
    serial: str
    #: None: no server is to be asked, only the library
    server: Address | None
    #: the server was named, so that without it there is nothing to fall back to
    server_named: bool
    work_root: str
    #: the private key that phones know this computer by
    key_file: Path

    @classmethod
    def of(cls, target: Target) -> Settings:
        """Raises UserError naming what a setting may be."""
        known = ("server", "work_root", "key_file")
        if unknown := sorted(set(target.settings) - set(known)):
            raise UserError(f"the adb transport has no setting {unknown[0]!r}; there is {', '.join(known)}")
        if not _SERIAL.fullmatch(target.address):
            raise UserError(f"{target.address!r} is no device of ADB: a serial as `adb devices` lists it, or HOST:PORT")
        root = target.settings.get("work_root", DEFAULT_WORK_ROOT).rstrip("/")
        if not _WORK_ROOT.fullmatch(root) or {".", ".."} & set(root.split("/")):
            raise UserError(
                f"work_root {root!r}: an absolute path of plain names on the device, two or more, such as {DEFAULT_WORK_ROOT}"
            )
        named = target.settings.get("server")
        server = Address.from_environment(os.environ) if named is None else None if named == "none" else Address.parse(named)
        key = Path(target.settings.get("key_file", "~/.android/adbkey")).expanduser()
        return cls(target.address, server, named not in (None, "none"), root, key)
