"""What edgedeploy's own source is: another version of it may make other files of the same model."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path


@functools.cache
def digest() -> str:
    """sha256 (hex) over the exporter's and the contracts' own source."""
    total = hashlib.sha256()
    here = Path(__file__).resolve().parent
    for package in (here, here.parent / "edgedeploy"):
        for file in sorted(package.rglob("*.py")):
            total.update(f"{file.relative_to(here.parent)}\0".encode())
            total.update(file.read_bytes())
    return total.hexdigest()
