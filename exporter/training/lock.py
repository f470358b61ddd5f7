"""One training at a time of the same model: another process that wants it waits, and finds it done."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exporter.subjects.base import Progress

FILE = "lock"
_POLL_SEC = 0.2


@contextmanager
def one_at_a_time(folder: Path, what: str, progress: Progress | None) -> Iterator[bool]:
    """Inside, no other process on this machine trains in `folder`; gives whether one did while this waited.

    A process that ends, however it ends, lets the lock go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    waited = False
    with (folder / FILE).open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = True
                if progress is not None:
                    progress(f"{what}: waiting for another process that trains it", 0, 0)
                time.sleep(_POLL_SEC)
        yield waited
