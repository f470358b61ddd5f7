"""A device reached without an adb server: the adb-shell library, over TCP, or over USB where libusb is.

The library's connection is for one thread, so that over TCP each thread has one of its own. USB has one connection only, for
one thread at a time.
"""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

from device_runner.deadline import Deadline
from device_runner.transports.adb import keys, library_usb
from device_runner.transports.adb.library_connection import Channel, Connection
from device_runner.transports.adb.library_ports import Forward
from device_runner.transports.adb.library_tcp import TcpTransport
from device_runner.transports.adb.server_link import is_network
from edgedeploy.errors import UserError


class LibraryLink:
    """See stream.Link. `serial` is HOST:PORT, or a serial on USB."""

    def __init__(self, serial: str, key_file: Path) -> None:
        self._serial, self._signer = serial, keys.signer(key_file)
        self._network = is_network(serial)
        self._mine = threading.local()
        self._all: list[Connection] = []
        self._forwards: list[Forward] = []

    def _fresh(self) -> Connection:
        if self._network:
            host, _, port = self._serial.rpartition(":")
            return Connection(TcpTransport(host.strip("[]"), int(port)), self._serial, self._signer)
        return Connection(library_usb.transport(self._serial), self._serial, self._signer)

    def _connection(self, deadline: Deadline) -> Connection:
        """This thread's, connected anew when it was lost."""
        connection: Connection | None
        connection = getattr(self._mine, "connection", None) if self._network else next(iter(self._all), None)
        if connection is None or not connection.is_open:
            self._all = [other for other in self._all if other.is_open]
            connection = self._mine.connection = self._fresh()
            connection.connect(deadline)
            self._all.append(connection)
        return connection

    def open(self, service: bytes, deadline: Deadline) -> Channel:
        return self._connection(deadline).open(service, deadline)

    def features(self, deadline: Deadline) -> frozenset[str]:
        return self._connection(deadline).features

    def forward(self, port: int, deadline: Deadline) -> int:
        """A free port of this host that leads to `port` on the device, until `close`."""
        if not self._network:
            raise UserError("forwarding a port over USB needs an adb server: install adb")
        # one to see that it can be had, then one for each connection
        self._connection(deadline)
        opened = Forward(self._fresh, port)
        self._forwards.append(opened)
        return opened.port

    def reverse(self, port: int, deadline: Deadline) -> int:
        raise UserError(
            "a port of this host for the device (reverse) needs an adb server, which takes the connections that the device "
            "opens; the adb-shell library does not: install adb"
        )

    def unforward(self, port: int, deadline: Deadline) -> None:
        """Listen at that port no more."""
        for forward in [each for each in self._forwards if each.port == port]:
            forward.close()
            self._forwards.remove(forward)

    def unreverse(self, port: int, deadline: Deadline) -> None:
        """There is none."""

    def close(self) -> None:
        for forward in self._forwards:
            forward.close()
        for connection in self._all:
            with contextlib.suppress(OSError):
                connection.drop()
        self._forwards, self._all = [], []
