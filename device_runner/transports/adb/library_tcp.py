"""adb-shell's TCP transport without its faults.

As it comes (0.4.4) it sends with one call that may take only a part of the data and does not look how much that was, leaves
Nagle's algorithm on (45 ms a command), takes a closed connection for silence, and reads as much as a device says it will send.
"""

from __future__ import annotations

import contextlib
from typing import Any

from adb_shell.transport.base_transport import BaseTransport

from device_runner.deadline import Deadline
from device_runner.transports.adb import sockets
from edgedeploy.errors import TransientError

#: the protocol's largest packet
MAX_PACKET_BYTES = 2**20


class TcpTransport(BaseTransport):  # type: ignore[misc]  # adb-shell has no types
    """`deadline` is set before each use: the library's own timeouts start anew with every piece, and are not looked at."""

    def __init__(self, host: str, port: int) -> None:
        self._address, self._what = (host, port), f"the phone at {host}:{port}"
        self._stream: sockets.SocketStream | None = None
        self.deadline = Deadline.after(0)

    def connect(self, transport_timeout_s: Any) -> None:
        try:
            self._stream = sockets.connect(*self._address, self._what, self.deadline)
        except ConnectionRefusedError:
            raise TransientError(
                f"{self._what} refuses the connection: is debugging over the network on (`adb tcpip 5555` while on USB)?"
            ) from None

    def bulk_read(self, numbytes: int, transport_timeout_s: Any) -> bytes:
        if numbytes > MAX_PACKET_BYTES:
            raise TransientError(f"{self._what} sends a packet of {numbytes} bytes, which ADB does not know")
        piece = self._open().receive(numbytes, self.deadline)
        if not piece:
            raise TransientError(f"{self._what} closed the connection")
        return piece

    def bulk_write(self, data: bytes, transport_timeout_s: Any) -> int:
        self._open().send(data, self.deadline)
        return len(data)

    def _open(self) -> sockets.SocketStream:
        if self._stream is None:
            raise TransientError(f"{self._what} is not connected")
        return self._stream

    def fileno(self) -> int:
        """For select: everything that was received has been handed on."""
        return self._open().fileno()

    def close(self) -> None:
        if self._stream is not None:
            with contextlib.suppress(OSError):
                self._stream.close()
            self._stream = None
