"""The cable between us and a phone: it counts what goes up, and can be pulled."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

_PIECE_BYTES = 2**16


class Cable:
    """Listens on `port` of the loopback and leads to `upstream`."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        self._out = False
        #: bytes towards the phone so far; when they reach `cut_at`, the cable is pulled once
        self.sent = 0
        self.cut_at: int | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def serial(self) -> str:
        return f"127.0.0.1:{self.port}"

    def pull_out(self) -> None:
        """Until `plug_in`: what is open is reset, what comes is hung up on."""
        self._out = True
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends = []

    def plug_in(self) -> None:
        self._out = False

    def close(self) -> None:
        self.pull_out()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = None if self._out else socket.create_connection(("127.0.0.1", self.upstream))
            except OSError:
                far = None
            if far is None:
                near.close()
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._ends += [near, far]
            threading.Thread(target=self._carry, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, False), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, up: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE_BYTES):
                if up:
                    self.sent += len(piece)
                    if self.cut_at is not None and self.sent >= self.cut_at:
                        self.cut_at = None
                        self.pull_out()
                        self.plug_in()
                        break
                sink.sendall(piece)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextlib.contextmanager
def between(upstream: int) -> Iterator[Cable]:
    cable = Cable(upstream)
    try:
        yield cable
    finally:
        cable.close()
