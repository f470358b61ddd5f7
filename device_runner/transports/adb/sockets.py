"""A TCP connection as a Stream."""

from __future__ import annotations

import contextlib
import select
import socket

from device_runner.deadline import Deadline, DeadlineExpired
from edgedeploy.errors import TransientError


class SocketStream:
    """See stream.Stream. `what` names the other side in messages."""

    def __init__(self, connection: socket.socket, what: str) -> None:
        self._socket, self._what = connection, what

    def _patience(self, deadline: Deadline) -> None:
        deadline.check(self._what)
        self._socket.settimeout(max(deadline.remaining, 0.001))

    def send(self, data: bytes | bytearray | memoryview, deadline: Deadline) -> None:
        self._patience(deadline)
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise DeadlineExpired(f"{self._what} did not take the data in time") from None
        except OSError as error:
            raise TransientError(f"{self._what}: connection lost ({error.strerror or error})") from None

    def receive(self, limit_bytes: int, deadline: Deadline) -> bytes:
        self._patience(deadline)
        try:
            return self._socket.recv(limit_bytes)
        except TimeoutError:
            raise DeadlineExpired(f"no answer in time: {self._what}") from None
        except OSError as error:
            raise TransientError(f"{self._what}: connection lost ({error.strerror or error})") from None

    def readable(self, timeout_sec: float) -> bool:
        """Whether there is something to receive, or the end, within that time."""
        return bool(select.select([self._socket], [], [], timeout_sec)[0])

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def close(self) -> None:
        # closing alone leaves the other side waiting while a thread of ours is still inside a call
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def connect(host: str, port: int, what: str, deadline: Deadline) -> SocketStream:
    """Raises ConnectionRefusedError when nothing listens there, TransientError for anything else that goes wrong."""
    deadline.check(what)
    try:
        connection = socket.create_connection((host, port), timeout=max(deadline.remaining, 0.001))
    except ConnectionRefusedError:
        raise
    except TimeoutError:
        raise DeadlineExpired(f"no answer in time: {what}") from None
    except OSError as error:
        raise TransientError(f"{what} cannot be reached ({error.strerror or error})") from None
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return SocketStream(connection, what)
