"""Ctrl-C and `kill` as one thing: KeyboardInterrupt, and never in the middle of writing down what was measured."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: what a terminal, a supervisor or a closed connection ends us with
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _raise(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _usable() -> list[signal.Signals]:
    # only the main thread may set handlers, and a signal that the parent ignores (nohup) stays ignored
    if threading.current_thread() is not threading.main_thread():
        return []
    return [number for number in STOPPING if signal.getsignal(number) != signal.SIG_IGN]


@contextmanager
def stopping_raises() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP raise KeyboardInterrupt as SIGINT does, so that all three clean up alike."""
    before = {number: signal.signal(number, _raise) for number in _usable()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held() -> Iterator[None]:
    """Inside, a stopping signal waits; KeyboardInterrupt is raised at the end. For short writes and for cleaning up."""
    arrived: list[int] = []
    before = {number: signal.signal(number, lambda signum, frame: arrived.append(signum)) for number in _usable()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if arrived:
        raise KeyboardInterrupt
