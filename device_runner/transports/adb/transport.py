"""A phone over ADB as a Transport, whichever way it is reached."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from device_runner.deadline import Deadline
from device_runner.transports.adb import shell
from device_runner.transports.adb.storage import Storage
from device_runner.transports.adb.sync import Sync
from device_runner.transports.base import Completed, Stat
from edgedeploy.bundle import file_sha256
from edgedeploy.errors import EdgedeployError, TransientError, UserError

if TYPE_CHECKING:
    from device_runner.transports.adb.stream import Link

#: to take back what a failed push left, on a device that may be gone
_CLEAN_SEC = 2.0


class AdbTransport:
    """See base.Transport. Raises UserError for a device whose adbd is too old."""

    kind = "adb"

    def __init__(self, link: Link, work_root: str, deadline: Deadline) -> None:
        self._link = link
        features = link.features(deadline)
        if "shell_v2" not in features:
            raise UserError("the device's adbd gives no exit codes (it has no shell_v2): Android 7 or newer is needed")
        self._stat_v2 = "stat_v2" in features
        self._storage = Storage(link, work_root, deadline)
        # of this transport, so that a second try writes over what the first one left
        self._token = secrets.token_hex(4)

    def _sync(self, deadline: Deadline) -> Sync:
        return Sync(self._link, deadline, stat_v2=self._stat_v2)

    def path(self, relative: str) -> str:
        return self._storage.path(relative)

    def run(self, argv: Sequence[str], deadline: Deadline) -> Completed:
        return shell.run(self._link, argv, deadline)

    def stream(self, argv: Sequence[str], deadline: Deadline) -> Iterator[bytes]:
        return shell.stream(self._link, argv, deadline)

    def push(
        self, source: Path, destination: str, deadline: Deadline, *, executable: bool = False, sha256: str = ""
    ) -> bool:  # fmt: skip
        digest, mode = sha256 or file_sha256(source), 0o700 if executable else 0o600
        incoming = self._storage.incoming(destination, self._token)
        with source.open("rb") as data:
            size = os.fstat(data.fileno()).st_size
            with self._sync(deadline) as sync:
                found = self._storage.look(sync, destination)
                # the digest is only asked for where it can be the same: it is a process on the device
                same_size = found is not None and found.is_file and found.bytes == size
                if same_size and self._storage.has(destination, digest, size, mode, deadline):
                    return False
                try:
                    sync.send(data, self.path(incoming), mode)
                    self._storage.finish(destination, incoming, digest, mode, deadline)
                except EdgedeployError:
                    self._clean(incoming)
                    raise
        return True

    def _clean(self, path: str) -> None:
        with contextlib.suppress(EdgedeployError):
            self._storage.remove(path, Deadline.after(_CLEAN_SEC))

    def pull(self, source: str, destination: Path, deadline: Deadline) -> None:
        with self._sync(deadline) as sync:
            found = self._storage.look(sync, source)
            if found is None or not found.is_file:
                raise TransientError(f"{source}: not on the device")
            handle, name = tempfile.mkstemp(prefix=f".{destination.name}.", suffix=".part", dir=destination.parent)
            scratch = Path(name)
            try:
                with os.fdopen(handle, "wb") as out:
                    sync.fetch(self.path(source), out, found.bytes)
                scratch.rename(destination)
            finally:
                scratch.unlink(missing_ok=True)

    def forward(self, port: int, deadline: Deadline) -> int:
        return self._link.forward(port, deadline)

    def reverse(self, port: int, deadline: Deadline) -> int:
        return self._link.reverse(port, deadline)

    def unforward(self, port: int, deadline: Deadline) -> None:
        self._link.unforward(port, deadline)

    def unreverse(self, port: int, deadline: Deadline) -> None:
        self._link.unreverse(port, deadline)

    def stat(self, path: str, deadline: Deadline) -> Stat | None:
        with self._sync(deadline) as sync:
            found = self._storage.look(sync, path)
        if found is None:
            return None
        return Stat("directory" if found.is_directory else "file" if found.is_file else "other", found.bytes)

    def remove(self, path: str, deadline: Deadline) -> None:
        self._storage.remove(path, deadline)

    def close(self) -> None:
        self._link.close()
