"""A service open on a device (a shell, a file transfer, a port): bytes both ways, whoever carries them there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edgedeploy.errors import TransientError

if TYPE_CHECKING:
    from device_runner.deadline import Deadline


class Stream(Protocol):
    """Calls raise DeadlineExpired when the time is up, and TransientError when the device or the way to it is gone."""

    def send(self, data: bytes | bytearray | memoryview, deadline: Deadline) -> None:
        """Send all of it."""
        ...

    def receive(self, limit_bytes: int, deadline: Deadline) -> bytes:
        """What is there, at least a byte and at most `limit_bytes`; b"" once the other side has closed."""
        ...

    def close(self) -> None: ...


class Link(Protocol):
    """The way to one device."""

    def open(self, service: bytes, deadline: Deadline) -> Stream:
        """Open a service. Raises UserError for what a person must do (accept a key), TransientError when out of reach."""
        ...

    def features(self, deadline: Deadline) -> frozenset[str]:
        """What both the device's adbd and the way to it can do: "shell_v2", "stat_v2", …"""
        ...

    def forward(self, port: int, deadline: Deadline) -> int: ...

    def reverse(self, port: int, deadline: Deadline) -> int: ...

    def unforward(self, port: int, deadline: Deadline) -> None: ...

    def unreverse(self, port: int, deadline: Deadline) -> None: ...

    def close(self) -> None: ...


def receive_exactly(stream: Stream, count: int, deadline: Deadline) -> bytes:
    """`count` bytes. Raises TransientError when the stream ends before."""
    pieces, missing = [], count
    while missing:
        piece = stream.receive(missing, deadline)
        if not piece:
            raise TransientError("the connection to the device ended in the middle of an answer")
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)
