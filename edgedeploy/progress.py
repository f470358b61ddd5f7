"""Progress of long work, on stderr: one line that is rewritten on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time


class Reporter:
    """Shows `what`, how far it is, and how long it took. Silent for work that is over within two seconds."""

    #: seconds of silence before the first line, and between two lines where stderr is not a terminal
    PATIENCE_S = 2.0
    INTERVAL_S = 10.0

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._terminal = sys.stderr.isatty()
        self._what = ""
        self._started = self._shown = time.monotonic()
        self._line_open = False

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None:
        """Say that `done` of `total` steps of `what` are done (total 0: unknown)."""
        if self._quiet:
            return
        now = time.monotonic()
        if what != self._what:
            self._close_line()
            self._what, self._started, self._shown = what, now, now - self.INTERVAL_S
        if now - self._started < self.PATIENCE_S or now - self._shown < (0.1 if self._terminal else self.INTERVAL_S):
            return
        self._shown = now
        share = f" {done}/{total}" if total else ""
        left = ""
        if total and 0 < done < total:
            left = f", about {(now - self._started) / done * (total - done):.0f} s left"
        text = f"{what}{share} ({now - self._started:.0f} s{left}){' ' + note if note else ''}"
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{text}")
            self._line_open = True
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def say(self, text: str) -> None:
        """A line of its own, at once."""
        if not self._quiet:
            self._close_line()
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    def _close_line(self) -> None:
        if self._line_open:
            sys.stderr.write("\r\x1b[K")
            self._line_open = False
