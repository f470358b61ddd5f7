"""A link that is slower and longer than the one there is: bytes in, the same bytes out, when the shaped link would give them.

A program of its own (`python -m device_runner.tiers.delay_line PORT MBIT_S DELAY_MS`): other threads of edgedeploy's process
(encryption of an SSH tunnel) would hold it up. It prints the port of the loopback that it listens on, leads each connection
to PORT, and ends when its stdin does.

Each way is one link for all connections: a piece goes on the wire when the one before it has left (a bucket that saves
nothing up), and arrives its time on the wire and the delay later. What is due is reckoned from when pieces came, not from
when they were passed on, so that a late wake-up is not added to the next one.
"""

from __future__ import annotations

import contextlib
import ctypes
import select
import socket
import struct
import sys
import threading
import time
from collections import deque

#: a piece is what the wire carries in this time, so that what follows need not wait for much; never less than a packet
_PIECE_SEC, _SMALLEST_BYTES, _LARGEST_BYTES = 0.002, 1460, 65536
#: what may be on its way at once, beside what the delay holds: beyond it the sender is held up, as a full queue does
_QUEUE_BYTES = 2**18
_FASTEST_BYTES_PER_SEC = 2.0**31
#: the longest that a busy machine is believed to have kept us from a piece that was there
_LATE_SEC = 0.05
#: before a piece is due, the thread is awake
_WAKE_SEC = 0.0002
#: how often who waits to send looks whether the connection broke meanwhile
_LOOK_US = 200_000
_RESET = struct.pack("ii", 1, 0)
_PR_SET_TIMERSLACK = 29


class Wire:
    """One way of the link, for all connections together."""

    def __init__(self, bytes_per_sec: float | None, delay_sec: float) -> None:
        self._rate, self._delay = bytes_per_sec, delay_sec
        self._free, self._lock = 0.0, threading.Lock()
        rate = bytes_per_sec or _FASTEST_BYTES_PER_SEC
        self.piece_bytes = int(min(max(rate * _PIECE_SEC, _SMALLEST_BYTES), _LARGEST_BYTES))
        self.holds_bytes = int(_QUEUE_BYTES + min(rate * delay_sec, 2.0**26))

    def arrival(self, nbytes: int, *, waited: bool) -> float:
        """When a piece that is given to the wire now has arrived, on the monotonic clock.

        waited: it was there before we looked, so it follows the one before it although we come late to it.
        """
        now = time.monotonic()
        with self._lock:
            follows = self._rate is not None and waited and self._free > now - _LATE_SEC
            begins = self._free if follows else max(now, self._free)
            self._free = begins + (nbytes / self._rate if self._rate else 0.0)
            return self._free + self._delay


class _Way:
    """What one connection has on one wire. The end of what comes is passed on in its turn; a reset at once."""

    def __init__(self, source: socket.socket, sink: socket.socket, wire: Wire) -> None:
        self._source, self._sink, self._wire = source, sink, wire
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._held, self._changed, self._broken = 0, threading.Condition(), False

    def start(self) -> list[threading.Thread]:
        threads = [threading.Thread(target=work, daemon=True) for work in (self._take, self._give)]
        for thread in threads:
            thread.start()
        return threads

    def _take(self) -> None:
        piece = b"?"
        while piece:
            try:
                waited = bool(select.select([self._source], [], [], 0)[0])
                piece = self._source.recv(self._wire.piece_bytes)
            except (OSError, ValueError):
                self._break()
                return
            due = self._wire.arrival(len(piece), waited=waited)
            with self._changed:
                self._pieces.append((due, piece))
                self._held += len(piece)
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._broken or self._held <= self._wire.holds_bytes)
                if self._broken:
                    return

    def _give(self) -> None:
        _wake_promptly()
        # in steps, since nothing but a look wakes up who waits for a peer that does not read
        self._sink.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, _LOOK_US))
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._broken or bool(self._pieces))
                if self._broken:
                    return
                due, piece = self._pieces.popleft()
            _sleep_until(due)
            try:
                if not piece:
                    self._sink.shutdown(socket.SHUT_WR)
                    return
                self._send(memoryview(piece))
            except OSError:
                self._break()
                return
            with self._changed:
                self._held -= len(piece)
                self._changed.notify_all()

    def _send(self, rest: memoryview) -> None:
        while rest and not self._broken:
            with contextlib.suppress(BlockingIOError):
                rest = rest[self._sink.send(rest) :]

    def _break(self) -> None:
        with self._changed:
            self._broken = True
            self._changed.notify_all()
        for end in (self._source, self._sink):
            with contextlib.suppress(OSError):
                # closing it is then a reset, as of a link that is cut: nobody is to take it for an orderly end
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                # wakes up who reads, and says nothing to the other side yet
                end.shutdown(socket.SHUT_RD)


def _sleep_until(due: float) -> None:
    """Nearly all of it asleep, the last moment looking: a sleep ends late by what it takes to wake a CPU up."""
    while (left := due - time.monotonic()) > 0:
        time.sleep(left - _WAKE_SEC if left > _WAKE_SEC else 0)


def _wake_promptly() -> None:
    """Linux adds 50 us to a thread's sleep to save power; a link does not."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)


def _carry(near: socket.socket, port: int, there: Wire, back: Wire) -> None:
    with near:
        try:
            far = socket.create_connection(("127.0.0.1", port), 10)
        except OSError:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            return
        with far:
            far.settimeout(None)
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threads = [*_Way(near, far, there).start(), *_Way(far, near, back).start()]
            for thread in threads:
                thread.join()


def serve(listener: socket.socket, port: int, bytes_per_sec: float | None, delay_sec: float) -> None:
    """Lead every connection of `listener` to `port` of the loopback, until the listener is closed."""
    there, back = Wire(bytes_per_sec, delay_sec), Wire(bytes_per_sec, delay_sec)
    while True:
        try:
            near, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_carry, args=(near, port, there, back), daemon=True).start()


def main(port: str, mbit_s: str, delay_ms: str) -> None:
    """mbit_s: "0" for no limit."""
    listener = socket.create_server(("127.0.0.1", 0))
    rate = float(mbit_s) * 1e6 / 8 or None
    threading.Thread(target=serve, args=(listener, int(port), rate, float(delay_ms) / 1000), daemon=True).start()
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
