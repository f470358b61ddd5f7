"""A cable that fails when it is told to: a TCP proxy that cuts, stalls, slows or corrupts what passes."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

_CHUNK_BYTES = 16384
Fault = Literal["cut", "stall", "corrupt"]


@dataclass
class _Planned:
    fault: Fault
    #: of what goes to the device, counted over all connections from when it was planned
    after_bytes: int
    #: how often it is to happen
    times: int


class FaultProxy:
    """Listens on `port` of the loopback and leads to `upstream`. Without a plan it is a cable like any other."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._plan: _Planned | None = None
        self._refusing = False
        self._closed = False
        self._flowing = threading.Event()
        self._flowing.set()
        self.bytes_per_sec = 0
        #: what the first of some bytes takes each way, after a pause of that length; those behind it flow on
        self.latency_sec = 0.0
        #: bytes that went to the device
        self.sent = 0
        #: bytes that came from it
        self.received = 0
        #: faults that happened
        self.faults = 0
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def plan(self, fault: Fault, after_bytes: int, times: int = 1) -> None:
        """Have `fault` happen once that many more bytes have gone to the device, so many times."""
        with self._lock:
            self._plan = _Planned(fault, self.sent + after_bytes, times)

    def cut(self) -> None:
        """Pull the cable: every connection ends at once, with a reset."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
            self.faults += 1
        for pair in pairs:
            for end in pair:
                _reset(end)

    def refuse(self, refusing: bool = True) -> None:
        """Whether new connections are refused (closed at once)."""
        self._refusing = refusing

    def stall(self) -> None:
        """Nothing passes any more, and nobody is told; until `flow`."""
        self.faults += 1
        self._flowing.clear()

    def flow(self) -> None:
        self._flowing.set()

    def close(self) -> None:
        self._closed = True
        self._flowing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._refusing:
                _reset(client)
                continue
            try:
                device = socket.create_connection(("127.0.0.1", self._upstream), 5)
            except OSError:
                _reset(client)
                continue
            device.settimeout(None)
            for end in (client, device):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._pairs.append((client, device))
                self.connections += 1
            for source, sink, up in ((client, device, True), (device, client, False)):
                threading.Thread(target=self._pump, args=(source, sink, up), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, up: bool) -> None:
        last = 0.0
        try:
            while piece := source.recv(_CHUNK_BYTES):
                self._flowing.wait()
                if self.latency_sec and time.monotonic() - last > self.latency_sec:
                    time.sleep(self.latency_sec)
                if self.bytes_per_sec:
                    time.sleep(len(piece) / self.bytes_per_sec)
                if up:
                    piece = self._faulty(piece)
                    self._flowing.wait()
                else:
                    self.received += len(piece)
                sink.sendall(piece)
                last = time.monotonic()
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, sink):
                _reset(end)

    def _faulty(self, piece: bytes) -> bytes:
        with self._lock:
            self.sent += len(piece)
            plan = self._plan
            if plan is None or self.sent < plan.after_bytes:
                return piece
            plan.times -= 1
            self._plan = plan if plan.times else None
            plan.after_bytes = self.sent + len(piece)
        if plan.fault == "cut":
            self.cut()
            raise ConnectionResetError
        if plan.fault == "stall":
            self.stall()
            return piece
        self.faults += 1
        return piece[:-1] + bytes([piece[-1] ^ 0x10])


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextlib.contextmanager
def between(upstream: int) -> Iterator[FaultProxy]:
    """A proxy to that port of the loopback."""
    proxy = FaultProxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
