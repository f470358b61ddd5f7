"""What there is to bench: bundles and bare model files among the paths that were named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from edgedeploy.bundle import MANIFEST
from edgedeploy.errors import UserError

#: where `edgedeploy export` writes when nothing else is said
DEFAULT = Path("artifacts")


def find(paths: Sequence[Path]) -> list[Path]:
    """Bundles (directories) and model files, each once, in the order named and sorted within a directory.

    A directory that is no bundle is searched. With no path, `./artifacts` is. Raises UserError for a path with nothing.
    """
    found: list[Path] = []
    for path in paths or [DEFAULT]:
        if path.is_file() and path.name != MANIFEST:
            found.append(path)
            continue
        bundles = [path.parent] if path.is_file() else _bundles(path)
        if not bundles and not paths:
            raise UserError(f"there is no bundle under ./{DEFAULT}; make one with: edgedeploy export")
        if not path.exists():
            raise UserError(f"{path}: no such bundle or model file; `edgedeploy export` makes bundles")
        if not bundles:
            raise UserError(f"{path}: there is no bundle in it (no {MANIFEST}); `edgedeploy export` makes bundles")
        found += bundles
    apart: dict[Path, Path] = {}
    for path in found:
        apart.setdefault(path.resolve(), path)
    return list(apart.values())


def _bundles(directory: Path) -> list[Path]:
    bundles = []
    for parent, names, files in os.walk(directory):
        # hidden: a bundle that is being written
        names[:] = sorted(name for name in names if not name.startswith("."))
        if MANIFEST in files:
            bundles.append(Path(parent))
            names.clear()
    return bundles
