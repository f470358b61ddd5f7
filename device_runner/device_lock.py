"""One session per device at a time on this host: a lock of the kernel's, so that it goes with the process that held it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from device_runner.instant import now
from device_runner.inventory.address import identity
from device_runner.inventory.device import Device
from device_runner.state import locks_root
from edgedeploy.errors import UserError

_LOOK_SEC = 0.5
#: who only looks whether it is free holds it for a moment without a name, as who has just taken it does
_UNSAID, _UNSAID_SEC = 5, 0.05
_MAX_HOLDER_BYTES = 4096


class DeviceInUse(UserError):
    """Another process has a session on the device. `holder` is None when it could not be found out who."""

    def __init__(self, device: str, holder: Holder | None) -> None:
        self.holder = holder
        by = f"process {holder.pid} since {holder.since} ({holder.command})" if holder else "another process"
        super().__init__(
            f"{device} is in use by {by}; two at once would measure each other: wait for it to end, with --wait where the "
            "command has it, or stop it"
        )


@dataclass(frozen=True)
class Holder:
    pid: int
    command: str
    #: ISO 8601, UTC
    since: str


def path_of(device: Device) -> Path:
    """The lock's file. The same for every name and login of the device; a phone's two addresses (USB, TCP) are two."""
    digest = hashlib.sha256(identity(device.target).encode()).hexdigest()[:24]
    return locks_root() / f"edgedeploy-device-{digest}.lock"


def in_use(device: Device) -> DeviceInUse | None:
    """What `locked` would raise now, None when the device is free."""
    path = path_of(device)
    if not path.exists():
        return None
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return DeviceInUse(device.name, _read(descriptor))
    finally:
        os.close(descriptor)
    return None


@contextmanager
def locked(device: Device, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """The device for us alone. Raises DeviceInUse when another process has it.

    waiting: given, wait for it as long as it takes, and tell this again and again what for.
    """
    path = path_of(device)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    unsaid = 0
    while True:
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = _read(descriptor)
            os.close(descriptor)
            if found is None and unsaid < _UNSAID:
                unsaid += 1
                time.sleep(_UNSAID_SEC)
                continue
            if waiting is None:
                raise DeviceInUse(device.name, found) from None
            waiting(f"waiting for {device.name}" + (f", in use by process {found.pid} ({found.command})" if found else ""))
            time.sleep(_LOOK_SEC)
            continue
        if _still_there(descriptor, path):
            break
        # a cleaner of temporary files took it away in between: what we locked has no name any more
        os.close(descriptor)
    try:
        _write(descriptor)
        yield
    finally:
        _clear(descriptor)
        os.close(descriptor)


def _open(path: Path) -> int:
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    # another user's file can be locked although it cannot be written; and in a directory that all may write to, the kernel
    # refuses to open it with O_CREAT
    why: str | None = None
    for attempt in (os.O_RDWR, os.O_RDONLY, os.O_RDWR | os.O_CREAT):
        try:
            descriptor = os.open(path, attempt | flags, 0o644)
        except OSError as error:
            why = error.strerror
            continue
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        raise UserError(f"{path}: is not a file of ours; remove it")
    raise UserError(f"{path}: the device's lock cannot be opened ({why}); set EDGEDEPLOY_STATE to a directory of yours")


def _still_there(descriptor: int, path: Path) -> bool:
    ours = os.fstat(descriptor)
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)


def _write(descriptor: int) -> None:
    """Say who has it, for everybody to read."""
    program = Path(sys.argv[0]).name
    command = " ".join(["edgedeploy" if program == "__main__.py" else program, *sys.argv[1:]])[:300]
    text = json.dumps({"pid": os.getpid(), "command": command, "since": now()})
    try:
        # whatever the umask: another user must be able to open it, to find it locked
        os.fchmod(descriptor, 0o644)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)
    except OSError:
        # another user's file, or a full disk: the lock holds, it only does not say whose it is
        return


def _clear(descriptor: int) -> None:
    try:
        os.ftruncate(descriptor, 0)
    except OSError:
        return


def _read(descriptor: int) -> Holder | None:
    try:
        data = json.loads(os.pread(descriptor, _MAX_HOLDER_BYTES, 0))
        return Holder(int(data["pid"]), str(data["command"])[:300], str(data["since"])[:40])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
