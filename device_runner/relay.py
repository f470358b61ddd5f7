"""What a process that measures has to say, sent to the one that started it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgedeploy.progress import StatusLine

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


class Relay(StatusLine):
    """A status line at the other end of a connection. Raises KeyboardInterrupt, once, when nobody reads it any more."""

    def __init__(self, connection: Connection[Any, Any]) -> None:
        self._connection, self._read = connection, True

    def line(self, text: str) -> None:
        self._send("line", text)

    def now(self, text: str) -> None:
        self._send("now", text)

    def done(self) -> None:
        pass

    def _send(self, kind: str, text: str) -> None:
        if not self._read:
            return
        try:
            self._connection.send((kind, text))
        except OSError:
            # once: what is then said while the launch is ended and the device put back must not keep that from being done
            self._read = False
            raise KeyboardInterrupt from None
