"""Files that somebody else may have prepared: opened only when they are plain files of a bounded size.

A FIFO would hang its reader for ever, a device or a link to one would never end, a link would lead out of the directory.
"""

from __future__ import annotations

import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path

from edgedeploy.errors import BundleError


def open_regular(path: Path, limit: int) -> BufferedReader:
    """`path` opened for reading. Raises BundleError when it is missing, no plain file (a link is none), or over `limit`."""
    try:
        # not blocking: opening a FIFO would wait for somebody to write to it
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise BundleError(f"{path}: {_why(path, error)}") from None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
        os.close(descriptor)
        raise BundleError(f"{path}: over {limit} bytes" if stat.S_ISREG(found.st_mode) else f"{path}: not a plain file")
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path, limit: int) -> bytes:
    """The content of a plain file. Raises BundleError as `open_regular` does."""
    with open_regular(path, limit) as file:
        # one more than allowed: a file may grow after it was measured
        content = file.read(limit + 1)
    if len(content) > limit:
        raise BundleError(f"{path}: over {limit} bytes")
    return content


def sha256_regular(path: Path, size: int) -> str:
    """sha256 of a plain file that must have `size` bytes. Raises BundleError as `open_regular` does."""
    with open_regular(path, 2**63 - 1) as file:
        found = os.fstat(file.fileno()).st_size
        if found != size:
            raise BundleError(f"{path}: has {found} bytes, the manifest says {size}")
        return hashlib.file_digest(file, "sha256").hexdigest()


def _why(path: Path, error: OSError) -> str:
    if path.is_symlink():
        return "is a symbolic link, which leads out of the bundle"
    return "missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
