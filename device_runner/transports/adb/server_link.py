"""A device behind the adb server. Every service is a connection of its own to the server, which holds the device."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable

from device_runner.deadline import Deadline
from device_runner.transports.adb import server as smart
from device_runner.transports.adb import states
from device_runner.transports.adb.devices import attached
from device_runner.transports.adb.server import Refused, Server
from device_runner.transports.adb.sockets import SocketStream
from edgedeploy.errors import EdgedeployError, TransientError, UserError

_CLOSE_SEC = 2.0
#: a phone on USB is offline while it and a server that has just begun, or was killed and begun anew, find to each other
_SETTLE_SEC, _PAUSE_SEC = 10.0, 0.25
_NETWORK = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):[0-9]{1,5}")


def is_network(serial: str) -> bool:
    """Whether a serial is HOST:PORT: of a device that the server has to be told to connect to."""
    return _NETWORK.fullmatch(serial) is not None


class ServerLink:
    """See stream.Link."""

    def __init__(self, server: Server, serial: str) -> None:
        self._server, self._serial = server, serial
        self._forwards: list[int] = []
        self._reverses: list[int] = []

    def open(self, service: bytes, deadline: Deadline) -> SocketStream:
        stream = self._reach(deadline)
        try:
            smart.send(stream, service, deadline)
        except Refused as refused:
            stream.close()
            raise TransientError(f"{self._serial} refused {service[:20]!r}: {refused.reason}") from None
        except BaseException:
            stream.close()
            raise
        return stream

    def _reach(self, deadline: Deadline) -> SocketStream:
        """A connection that the server has handed to the device."""
        try:
            return self._hand_over(deadline)
        except (states.Absent, states.Offline) as error:
            if not is_network(self._serial):
                if isinstance(error, states.Offline):
                    return self._settled(deadline)
                raise
        # over the network the server forgets a device that went away; an offline one it takes for connected
        self._connect(deadline)
        return self._hand_over(deadline)

    def _settled(self, deadline: Deadline) -> SocketStream:
        limit = deadline.sooner(_SETTLE_SEC)
        while True:
            time.sleep(_PAUSE_SEC)
            try:
                return self._hand_over(deadline)
            except states.Offline:
                if limit.remaining <= 0:
                    raise

    def _hand_over(self, deadline: Deadline) -> SocketStream:
        stream = self._server.open(deadline)
        try:
            smart.send(stream, b"host:transport:" + self._serial.encode(), deadline)
        except Refused as refused:
            stream.close()
            raise self._failure(refused.reason, deadline) from None
        except BaseException:
            stream.close()
            raise
        return stream

    def _failure(self, reason: str, deadline: Deadline) -> EdgedeployError:
        error = states.failure(self._serial, reason)
        if isinstance(error, states.Absent):
            there = ", ".join(f"{device.serial} ({device.state})" for device in attached(self._server, deadline))
            return states.no_device(self._serial, f"attached: {there or 'nothing'}")
        return error

    def _connect(self, deadline: Deadline) -> None:
        with contextlib.suppress(Refused):
            self._server.ask(f"host:disconnect:{self._serial}", deadline)
        said = smart.printable(self._server.ask(f"host:connect:{self._serial}", deadline))
        if not said.startswith(("connected to", "already connected to")):
            error = states.failure(self._serial, said)
            raise error if isinstance(error, states.Unauthorized) else TransientError(f"{self._serial}: {said}")

    def features(self, deadline: Deadline) -> frozenset[str]:
        with contextlib.closing(self._reach(deadline)) as stream:
            # the request of a device that was handed over already: no serial in it
            smart.send(stream, b"host:features", deadline)
            return frozenset(smart.receive_text(stream, deadline).decode("utf-8", "replace").strip().split(","))

    def forward(self, port: int, deadline: Deadline) -> int:
        """A free port of the server's host that leads to `port` on the device, until `close`."""
        self._check_here()
        opened = self._port(self._server.open, f"host-serial:{self._serial}:forward:tcp:0;tcp:{port}", deadline)
        self._forwards.append(opened)
        return opened

    def reverse(self, port: int, deadline: Deadline) -> int:
        """A free port of the device that leads to `port` on the server's host, until `close`."""
        self._check_here()
        opened = self._port(self._reach, f"reverse:forward:tcp:0;tcp:{port}", deadline)
        self._reverses.append(opened)
        return opened

    def _check_here(self) -> None:
        if not self._server.is_here:
            raise UserError(
                f"{self._serial}: ports are led on by the adb server at {self._server.address}, and would open on that host, "
                "not on this one; reach the phone through a server of this host"
            )

    def _port(self, connect: Callable[[Deadline], SocketStream], request: str, deadline: Deadline) -> int:
        with contextlib.closing(connect(deadline)) as stream:
            try:
                smart.send(stream, request.encode(), deadline)
                smart.accept(stream, deadline)
            except Refused as refused:
                raise states.failure(self._serial, refused.reason) from None
            answer = smart.receive_text(stream, deadline)
        if not re.fullmatch(rb"[0-9]{1,5}", answer):
            raise TransientError(f"{self._serial}: no port in the answer to {request[:40]!r}")
        return int(answer)

    def unforward(self, port: int, deadline: Deadline) -> None:
        """Take a port of the server's host back."""
        if port in self._forwards:
            self._take_back(self._server.open, f"host-serial:{self._serial}:killforward:tcp:{port}", deadline)
            self._forwards.remove(port)

    def unreverse(self, port: int, deadline: Deadline) -> None:
        """Take a port of the device back; a device that is gone has taken it with it."""
        if port in self._reverses:
            self._take_back(self._reach, f"reverse:killforward:tcp:{port}", deadline)
            self._reverses.remove(port)

    def close(self) -> None:
        """Take back the ports that were opened."""
        deadline = Deadline.after(_CLOSE_SEC)
        for port in list(self._forwards):
            self.unforward(port, deadline)
        for port in list(self._reverses):
            self.unreverse(port, deadline)

    def _take_back(self, connect: Callable[[Deadline], SocketStream], request: str, deadline: Deadline) -> None:
        with contextlib.suppress(EdgedeployError), contextlib.closing(connect(deadline)) as stream:
            smart.send(stream, request.encode(), deadline)
