"""Files below a transport's work root: what is where, put and removed, with no link leading out of it.

What adb's sync protocol does not do is done by the scripts of `posix`, in the device's own shell (mksh with toybox on Android).
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from device_runner.transports import posix
from device_runner.transports.adb import shell
from device_runner.transports.base import relative
from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.adb.stream import Link
    from device_runner.transports.adb.sync import Found, Sync
    from device_runner.transports.base import Completed

# its mode is left alone where it is there: /data/local/tmp, which it may be, is others' too
_MAKE_ROOT = 'umask 077; mkdir -p "$1" && cd -P "$1" && pwd -P'


class Storage:
    """The work root of one device. `root` is where it really is, links resolved."""

    def __init__(self, link: Link, work_root: str, deadline: Deadline) -> None:
        self._link = link
        self.root = posix.root_of(shell.run(link, ["sh", "-c", _MAKE_ROOT, "sh", work_root], deadline))

    def path(self, path: str) -> str:
        return f"{self.root}/{relative(path)}"

    def look(self, sync: Sync, path: str) -> Found | None:
        """What is at `path`. Raises UserError when a link above it could lead out of the work root."""
        pure = relative(path)
        above = [str(parent) for parent in reversed(pure.parents) if parent.parts]
        *parents, found = sync.look([f"{self.root}/{step}" for step in [*above, str(pure)]])
        if any(parent is not None and parent.is_link for parent in parents):
            raise UserError(f"{path!r} leads out of the device's work directory")
        return found

    def has(self, path: str, digest: str, size_bytes: int, mode: int, deadline: Deadline) -> bool:
        """Whether a file of that content is there; it is given its mode then. Raises NoRoom for one that has no room."""
        asked = posix.prepare(self.root, path, digest, size_bytes, f"{mode:o}")
        return not posix.to_send(self._run(asked, deadline), path, size_bytes)

    def incoming(self, path: str, token: str) -> str:
        """The path that a file is sent under before it is checked and gets its own."""
        pure = relative(path)
        return str(pure.with_name(f".{pure.name}.{token}.part"))

    def finish(self, path: str, incoming: str, digest: str, mode: int, deadline: Deadline) -> None:
        """Give what was sent its name. Raises TransientError when it is not what was sent."""
        name = PurePosixPath(incoming).name
        posix.check(self._run(posix.finish(self.root, path, digest, f"{mode:o}", name), deadline), path)

    def remove(self, path: str, deadline: Deadline) -> None:
        done = self._run(posix.remove(self.root, path), deadline)
        if done.exit_code != posix.ABSENT:
            posix.check(done, path)

    def _run(self, argv: list[str], deadline: Deadline) -> Completed:
        return shell.run(self._link, argv, deadline)
