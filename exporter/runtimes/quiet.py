"""Keeping converters quiet: they print progress on stdout, log through three libraries and write from C++."""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing that runs inside is heard; everything is put back after, also when it raises.

    Descriptors 1 and 2 lead nowhere for the time, for what C++ writes, and so do Python's streams: some C++ writes to
    those. It holds for the whole process, so keep it around the converter alone and tell progress outside.
    """
    saved_stdout, saved_stderr = sys.stdout, sys.stderr
    for stream in (saved_stdout, saved_stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    flush_c = ctypes.CDLL(None).fflush
    flush_c(None)
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.CRITICAL)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        stack.callback(os.close, nowhere)
        for descriptor in (1, 2):
            try:
                copy = os.dup(descriptor)
            except OSError:  # closed: nothing can be written to it anyway
                continue
            stack.callback(_put_back, copy, descriptor)
            os.dup2(nowhere, descriptor)
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        # what C buffered for its stdout would come out after the descriptor is back
        stack.callback(flush_c, None)
        yield


def _put_back(copy: int, descriptor: int) -> None:
    os.dup2(copy, descriptor)
    os.close(copy)
