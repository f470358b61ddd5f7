"""What was changed on a device, on this host's disk before it is changed: what puts it back after a crash.

One file per device. It is there exactly while something is changed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from device_runner.conditions.knobs import plain
from device_runner.durable import sync_directory, write_whole
from device_runner.instant import now
from device_runner.inventory.address import identity
from device_runner.inventory.device import Device
from device_runner.state import state_root
from edgedeploy.errors import UserError
from edgedeploy.signature import Strict

_MAX_BYTES = 2**20


class Change(Strict):
    """`found`: what it was, and is to be again."""

    key: str
    found: str
    wanted: str


class Changes(Strict):
    """The file. `device` and `written` are for who reads it; `identity` is what it goes by."""

    schema_version: Literal[1] = 1
    device: str
    identity: str
    written: str
    changes: tuple[Change, ...]


def path_of(device: Device) -> Path:
    digest = hashlib.sha256(identity(device.target).encode()).hexdigest()[:24]
    return state_root() / "changed" / f"{digest}.json"


def read(device: Device) -> Changes | None:
    """What is still changed on the device, as far as this host knows; None for nothing. UserError for a damaged file."""
    path = path_of(device)
    try:
        with path.open("rb") as file:
            changes = Changes.model_validate_json(file.read(_MAX_BYTES))
    except FileNotFoundError:
        return None
    except ValidationError:
        raise UserError(f"{path}: says what was changed on {device.name}, and cannot be read; look, then remove it") from None
    if changes.identity != identity(device.target) or not all(plain(change.found) for change in changes.changes):
        raise UserError(f"{path}: is not what was changed on {device.name}; look, then remove it")
    return changes


def write(device: Device, changes: tuple[Change, ...]) -> None:
    """Replace the file, on the disk when this returns; remove it when there is nothing to put back."""
    path = path_of(device)
    if not changes:
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            sync_directory(path.parent)
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = Changes(device=device.name, identity=identity(device.target), written=now(), changes=changes)
    write_whole(path, written.model_dump_json(indent=1).encode() + b"\n", mode=0o600)
