"""The adb server of this host: its socket protocol, and starting it.

A request is its length in four hexadecimal digits and its text; the answer begins with OKAY or FAIL, and a failure's text
has its length before it in the same way. adb's own docs call it the smart-socket protocol; it has not changed in years, so
that the server's version does not matter.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from device_runner.deadline import Deadline
from device_runner.transports.adb import sockets
from device_runner.transports.adb.stream import receive_exactly
from edgedeploy.errors import EdgedeployError, TransientError, UserError

if TYPE_CHECKING:
    from device_runner.transports.adb.sockets import SocketStream

DEFAULT_PORT = 5037
#: a request's length has four hexadecimal digits
MAX_REQUEST_BYTES = 0xFFFF
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Refused(EdgedeployError):
    """The server answered FAIL: `reason` is what it said, made printable."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class NoServer(UserError):
    """No adb server listens there, and none could be started."""


@dataclass(frozen=True)
class Address:
    """Where an adb server listens."""

    host: str = "localhost"
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """From "host:port". Raises UserError for anything else."""
        host, separator, port = text.rpartition(":")
        if not separator or not re.fullmatch(r"[A-Za-z0-9_.:\[\]-]{1,255}", host) or not re.fullmatch(r"[0-9]{1,5}", port):
            raise UserError(f"{text!r} is not the address of an adb server; it is HOST:PORT, such as localhost:5037")
        if not 0 < int(port) < 65536:
            raise UserError(f"{text!r}: a port is from 1 to 65535")
        return cls(host.strip("[]"), int(port))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Address:
        """Where adb itself would look. Raises UserError when it is said in a way that is not TCP."""
        stated = environment.get("ADB_SERVER_SOCKET")
        if stated:
            kind, _, rest = stated.partition(":")
            if kind != "tcp":
                raise UserError(f"ADB_SERVER_SOCKET={stated!r}: only tcp:HOST:PORT and tcp:PORT are known here")
            return cls.parse(rest if ":" in rest else f"localhost:{rest}")
        host = environment.get("ANDROID_ADB_SERVER_ADDRESS") or "localhost"
        port = environment.get("ANDROID_ADB_SERVER_PORT") or str(DEFAULT_PORT)
        return cls.parse(f"{host}:{port}")


class Server:
    """Every call is a connection of its own: that is how the protocol is."""

    def __init__(self, address: Address) -> None:
        self.address = address

    @property
    def is_here(self) -> bool:
        """Whether it runs on this host, so that its ports are this host's."""
        return self.address.host in _LOOPBACK

    def open(self, deadline: Deadline) -> SocketStream:
        """A fresh connection; a server on this host that is not running is started where adb is installed.

        Raises NoServer when there is none, TransientError when it cannot be reached.
        """
        what = f"the adb server at {self.address}"
        try:
            return sockets.connect(self.address.host, self.address.port, what, deadline)
        except ConnectionRefusedError:
            self._start(deadline)
        try:
            return sockets.connect(self.address.host, self.address.port, what, deadline)
        except ConnectionRefusedError:
            raise TransientError(f"{what} was started and is gone again") from None

    def _start(self, deadline: Deadline) -> None:
        program = shutil.which("adb") if self.is_here else None
        if program is None:
            raise NoServer(f"no adb server listens at {self.address}; start it with `adb start-server`, or install adb")
        try:
            started = subprocess.run(
                [program, "-L", f"tcp:{self.address.host}:{self.address.port}", "start-server"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                timeout=max(deadline.remaining, 0.001), env=_clean(os.environ),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise TransientError(f"`adb start-server` took too long (adb server at {self.address})") from None
        except OSError as error:
            raise NoServer(f"{program} cannot be started: {error.strerror}") from None
        if started.returncode:
            raise NoServer(f"`adb start-server` failed: {printable(started.stderr[-500:])}")

    def ask(self, request: str, deadline: Deadline) -> bytes:
        """The answer to a request that has one with a length (host:version, host:devices-l, …). Raises Refused."""
        with contextlib.closing(self.open(deadline)) as stream:
            send(stream, request.encode(), deadline)
            return receive_text(stream, deadline)

    def version(self, deadline: Deadline) -> int:
        """The server's protocol version, 41 for every adb of the last ten years. TransientError when no adb server answers."""
        answer = self.ask("host:version", deadline)
        if not re.fullmatch(rb"[0-9a-fA-F]{1,8}", answer):
            raise TransientError(f"what listens at {self.address} is no adb server")
        return int(answer, 16)


def send(stream: SocketStream, request: bytes, deadline: Deadline) -> None:
    """Send a request and read that it was accepted. Raises Refused, and TransientError when that is no adb server."""
    if len(request) > MAX_REQUEST_BYTES:
        raise UserError(f"a command of {len(request)} bytes is more than adb takes ({MAX_REQUEST_BYTES})")
    stream.send(b"%04x" % len(request) + request, deadline)
    accept(stream, deadline)


def accept(stream: SocketStream, deadline: Deadline) -> None:
    """Read OKAY; see `send`."""
    status = receive_exactly(stream, 4, deadline)
    if status == b"FAIL":
        raise Refused(printable(_text(stream, receive_exactly(stream, 4, deadline), deadline)))
    if status != b"OKAY":
        raise TransientError("what answers on the adb server's port is no adb server")


def receive_text(stream: SocketStream, deadline: Deadline) -> bytes:
    """A text with its length before it, at most 64 KB by its nature. Raises Refused.

    A service that runs in the server itself (host:pair) may say a second OKAY or FAIL once it is done.
    """
    digits = receive_exactly(stream, 4, deadline)
    if digits in (b"OKAY", b"FAIL"):
        text = _text(stream, receive_exactly(stream, 4, deadline), deadline)
        if digits == b"FAIL":
            raise Refused(printable(text))
        return text
    return _text(stream, digits, deadline)


def _text(stream: SocketStream, digits: bytes, deadline: Deadline) -> bytes:
    if not re.fullmatch(rb"[0-9a-fA-F]{4}", digits):
        raise TransientError("what answers on the adb server's port is no adb server")
    return receive_exactly(stream, int(digits, 16), deadline)


def printable(text: bytes) -> str:
    """What a device or a server said, on one line without control characters."""
    said = " ".join(text.decode("utf-8", "replace").split())
    return "".join(character for character in said if character.isprintable())[:500]


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    # -L says where; a port in the environment as well makes adb complain, and it must not trace into our stderr
    return {k: v for k, v in environment.items() if k not in ("ADB_SERVER_SOCKET", "ADB_TRACE")}
