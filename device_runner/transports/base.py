"""What a transport is: the few verbs with which everything is done on a device.

A path on the device is relative to the transport's own work root, plain names joined by "/": "store/abc", never absolute,
never "..". `path` says where that is for a program there. Every call takes a Deadline and raises TransientError when the
device did not answer in time or went away, so that who calls can try again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol

from device_runner.deadline import Deadline
from edgedeploy.errors import UserError

#: exit code of a program that is not there, as shells have it
NOT_FOUND = 127


class NotAuthorised(UserError):
    """The device is there and does not let us in: a key to be accepted on the phone's screen, or put on the board."""


class NoRoom(UserError):
    """The device's storage is full."""


@dataclass(frozen=True)
class Completed:
    """A program that ended on the device. A signal N that ended it is 128 + N, as a shell reports it."""

    exit_code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """stdout as text; bytes that are not UTF-8 are replaced, since a device may say anything."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def error_text(self) -> str:
        """The end of stderr as text, short enough for a message."""
        return self.stderr.decode("utf-8", "replace").strip()[-500:]


@dataclass(frozen=True)
class Stat:
    kind: Literal["file", "directory", "other"]
    bytes: int


@dataclass(frozen=True)
class Target:
    """Where a device is and over what it is reached, before it is."""

    #: "local", "adb", "ssh"
    transport: str
    #: ssh: HOST, USER@HOST, USER@HOST:PORT or a name of ~/.ssh/config; adb: a serial or HOST:PORT; local: ""
    address: str = ""
    #: the transport's own settings, as text; each transport refuses what it does not know
    settings: Mapping[str, str] = field(default_factory=dict)


class Transport(Protocol):
    """One open connection to one device. Not for two threads at once."""

    #: "local", "adb", "ssh"
    kind: str

    def path(self, relative: str) -> str:
        """The absolute path on the device, for an argument list."""
        ...

    def run(self, argv: Sequence[str], deadline: Deadline) -> Completed:
        """Run a program to its end, stdin empty. Exit code 127 when it is not there."""
        ...

    def stream(self, argv: Sequence[str], deadline: Deadline) -> Iterator[bytes]:
        """The lines of a program's stdout as they come. Closing the iterator ends the program."""
        ...

    def push(
        self, source: Path, destination: str, deadline: Deadline, *, executable: bool = False, sha256: str = ""
    ) -> bool:  # fmt: skip
        """Put a file on the device under its final name only once it is whole and its digest was checked there.

        sha256: of its content, where that is known, so that the file is not read for it again; one that is another by now is
        a TransientError.
        False when the same content was there already and nothing was sent. Raises NoRoom when the device is full; nothing of
        the file is left then.
        """
        ...

    def pull(self, source: str, destination: Path, deadline: Deadline) -> None:
        """Fetch a file; `destination` appears only once it is whole. TransientError when it is not there."""
        ...

    def forward(self, port: int, deadline: Deadline) -> int:
        """The port on this host that leads to `port` on the device."""
        ...

    def reverse(self, port: int, deadline: Deadline) -> int:
        """The port on the device that leads to `port` on this host."""
        ...

    def unforward(self, port: int, deadline: Deadline) -> None:
        """Take back what `forward` gave; fine when it is gone already. `close` takes back all that is left."""
        ...

    def unreverse(self, port: int, deadline: Deadline) -> None:
        """Take back what `reverse` gave; fine when it is gone already."""
        ...

    def stat(self, path: str, deadline: Deadline) -> Stat | None:
        """What is at `path`; None when nothing is."""
        ...

    def remove(self, path: str, deadline: Deadline) -> None:
        """Remove a file or a whole directory; fine when it is not there."""
        ...

    def close(self) -> None: ...


def facts_of(transport: Transport) -> dict[str, Any]:
    """What a transport adds to what the device says of itself: of a share of this host, what it has and by what."""
    share = getattr(transport, "facts", None)
    return {"share": share} if share else {}


def relative(path: str) -> PurePosixPath:
    """`path` as a path below a work root. Raises UserError for one that would lead anywhere else."""
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or not pure.parts or "\0" in path:
        raise UserError(f"{path!r} is not a path inside the device's work directory")
    return pure
