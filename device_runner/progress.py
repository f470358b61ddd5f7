"""What is going on, on stderr.

Plain lines, or one line rewritten on a terminal, and only when there is something new: an animation would compete for the
CPU with what is measured when the device is this host.
"""

from __future__ import annotations

import time
from typing import TextIO

from edgedeploy.terminal import clean

#: with no terminal to rewrite a line on, one line in so many seconds is enough
_EVERY_SEC = 10.0
#: a line that is to be rewritten must not wrap
_WIDTH = 78


class Progress:
    """Writes to `stream`, which is stderr: stdout is for what was asked for."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._last = time.monotonic()
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
        elif time.monotonic() - self._last >= _EVERY_SEC:
            self._write(clean(text) + "\n")

    def done(self) -> None:
        """Leave the terminal's line empty."""
        self._clear()

    def _clear(self) -> None:
        if self._open:
            self._write("\r\x1b[2K")
            self._open = False

    def _write(self, text: str) -> None:
        self._last = time.monotonic()
        self._stream.write(text)
        self._stream.flush()
