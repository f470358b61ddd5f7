"""A port of this host that leads to one on the device, without an adb server to hold it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from selectors import EVENT_READ, DefaultSelector

from device_runner.deadline import Deadline
from device_runner.transports.adb.library_connection import Channel, Connection
from edgedeploy.errors import EdgedeployError

_PIECE_BYTES = 2**16
_OPEN_SEC = 10.0
#: one piece on its way to the device, or a packet from it that has begun
_STEP_SEC = 30.0


class Forward:
    """Listens on the loopback at `port`. Each connection has a thread, and a connection to the device, of its own."""

    def __init__(self, fresh: Callable[[], Connection], device_port: int) -> None:
        self._fresh, self._device_port = fresh, device_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                end, _ = self._listener.accept()
            except OSError:
                return
            self._ends = [other for other in self._ends if other.fileno() >= 0]
            self._ends.append(end)
            threading.Thread(target=self._serve, args=(end,), daemon=True).start()

    def _serve(self, end: socket.socket) -> None:
        connection = self._fresh()
        # whichever side goes away, the other is told by closing it
        with end, contextlib.suppress(EdgedeployError, OSError):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                connection.connect(Deadline.after(_OPEN_SEC))
                _carry(end, connection, connection.open(b"tcp:%d" % self._device_port, Deadline.after(_OPEN_SEC)))
            finally:
                connection.drop()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _carry(end: socket.socket, connection: Connection, channel: Channel) -> None:
    """Bytes both ways until one side closes."""
    with DefaultSelector() as selector:
        selector.register(end, EVENT_READ)
        selector.register(connection, EVENT_READ)
        while True:
            while channel.incoming:
                end.sendall(channel.receive(_PIECE_BYTES, Deadline.after(_STEP_SEC)))
            if channel.closed:
                return
            ready = [key.fileobj for key, _ in selector.select()]
            if connection in ready:
                connection.pump(Deadline.after(_STEP_SEC))
            if end in ready:
                piece = end.recv(_PIECE_BYTES)
                if not piece:
                    return
                channel.send(piece, Deadline.after(_STEP_SEC))
