"""What is going on, on stderr: one line that is rewritten on a terminal, a line now and then elsewhere.

Plain text, and only when there is something new: an animation would compete for the CPU with what is measured when the
device is this host.
"""

from __future__ import annotations

import sys
import time
from typing import TextIO

from edgedeploy.terminal import clean

#: with no terminal to rewrite a line on, one line in so many seconds is enough, and none for what is over at once
_FIRST_SEC, _EVERY_SEC = 2.0, 10.0
#: a line that is to be rewritten must not wrap
_WIDTH = 78


class StatusLine:
    """Writes to `stream`, which is stderr: stdout is for what was asked for."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._next = time.monotonic() + _FIRST_SEC
        self._open = False

    def line(self, text: str) -> None:
        """Something that happened, for good."""
        self._clear()
        self._write(clean(text) + "\n")

    def now(self, text: str) -> None:
        """Something that is going on, until the next call."""
        if self._terminal:
            self._clear()
            self._write(clean(text, _WIDTH))
            self._open = True
        elif time.monotonic() >= self._next:
            self._write(clean(text) + "\n")

    def temperature(self, celsius: float) -> None:
        """How hot the device just was, at its hottest sensor: for those who show it, which a line does not."""

    def done(self) -> None:
        """Leave the terminal's line empty."""
        self._clear()

    def _clear(self) -> None:
        if self._open:
            self._write("\r\x1b[2K")
            self._open = False

    def _write(self, text: str) -> None:
        self._next = time.monotonic() + _EVERY_SEC
        self._stream.write(text)
        self._stream.flush()


class Reporter:
    """Progress of counted work: what, how far, how long it took and will take. Silent for work over within two seconds."""

    PATIENCE_SEC = 2.0

    def __init__(self, *, quiet: bool = False) -> None:
        self._line = None if quiet else StatusLine(sys.stderr)
        self._what = ""
        self._started = 0.0

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        """Say that `done` of `total` steps of `what` are done (total 0: unknown)."""
        if self._line is None:
            return
        now = time.monotonic()
        if what != self._what:
            self._what, self._started = what, now
        elapsed = now - self._started
        if elapsed < self.PATIENCE_SEC:
            return
        share = f" {done}/{total}" if total else ""
        left = f", about {elapsed / done * (total - done):.0f} s left" if 0 < done < total else ""
        self._line.now(f"{what}{share} ({elapsed:.0f} s{left}){' ' + note if note else ''}")

    def say(self, text: str) -> None:
        """A line of its own, at once."""
        if self._line is not None:
            self._line.line(text)
