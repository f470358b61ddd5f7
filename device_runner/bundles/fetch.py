"""Archives by digest: fetched once, kept in the cache, opened only when their digest is the pinned one."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from device_runner.bundles import debian, npm, pypi
from device_runner.bundles.pins import Package
from device_runner.cache import cache_root
from edgedeploy.errors import TransientError


def file_digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(package: Package, say: Callable[[str], None]) -> Path:
    """The archive of `package`. Raises TransientError when it cannot be had, UserError without pip."""
    kept = cache_root() / "wheels" / package.sha256 / package.archive
    if kept.is_file() and file_digest(kept) == package.sha256:
        return kept
    say(f"downloading {package.archive}")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
        registry = {"pypi": pypi, "debian": debian}.get(package.registry, npm)
        got = registry.download(package, Path(scratch))
        if file_digest(got) != package.sha256:
            raise TransientError(f"{package.archive} is not the pinned file: its sha256 differs")
        os.replace(got, kept)
    return kept
