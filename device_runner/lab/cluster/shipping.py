"""Artifacts on their way to the lab hosts: listed where the plan is read, put with the head, fetched where they are used."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from device_runner.cache import cache_root
from device_runner.lab.cluster.blobs import PIECE_BYTES
from device_runner.lab.cluster.line import Line
from edgedeploy.bundle import file_sha256
from edgedeploy.errors import TransientError, UserError

_MOST_FILES = 20_000
#: what is kept on a lab host between jobs; the artifacts that were used longest ago go first
_MOST_KEPT_BYTES = 5 * 10**9
_PIECE_SEC = 60.0
#: name: what the file or directory is called; files: path below it ("" for a file of its own) to digest
Listing = dict[str, Any]


def listing(path: Path) -> Listing:
    """What an artifact consists of. Links are not followed out of it: a bundle has none."""
    if path.is_file():
        return {"name": path.name, "files": {"": file_sha256(path)}}
    files = {}
    for file in sorted(path.rglob("*")):
        if file.is_file() and not file.is_symlink():
            files[file.relative_to(path).as_posix()] = file_sha256(file)
        if len(files) > _MOST_FILES:
            raise UserError(f"{path}: over {_MOST_FILES} files, no artifact")
    return {"name": path.name, "files": files}


def send(line: Line, artifacts: Mapping[Path, Listing], say: Callable[[str], None]) -> None:
    """Put with the head what it has not got. Raises TransientError, UserError for a file that changes meanwhile."""
    sources = {digest: path / name for path, each in artifacts.items() for name, digest in each["files"].items()}
    missing: list[str] = line.raw("missing", list(sources), wait_sec=_PIECE_SEC)
    if missing:
        say(f"{len(missing)} files go to the head")
    for digest in missing:
        with sources[digest].open("rb") as file:
            offset, piece = 0, file.read(PIECE_BYTES)
            while True:
                following = file.read(PIECE_BYTES)
                trouble = line.raw("write", digest, offset, piece, not following, wait_sec=_PIECE_SEC)
                if trouble:
                    raise UserError(f"{sources[digest]}: {trouble}")
                if not following:
                    break
                offset, piece = offset + len(piece), following


def fetched(line: Line, each: Listing) -> Path:
    """The artifact on this host, fetched where it is not here yet. Raises TransientError, UserError for what is no listing."""
    files = {_safe(name): str(digest) for name, digest in each["files"].items()}
    name = _safe(each["name"])
    key = hashlib.sha256(json.dumps(each, sort_keys=True).encode()).hexdigest()[:32]
    root = cache_root() / "lab-artifacts"
    target = root / key
    if not target.is_dir():
        root.mkdir(parents=True, exist_ok=True)
        _make_room(root)
        scratch = Path(tempfile.mkdtemp(prefix=".", dir=root))
        try:
            for below, digest in files.items():
                file = scratch / name / below if below else scratch / name
                file.parent.mkdir(parents=True, exist_ok=True)
                _fetch(line, digest, file)
            try:
                scratch.rename(target)
            except OSError:
                # another worker of this host was first
                if not target.is_dir():
                    raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    os.utime(target)
    return target / name


def _fetch(line: Line, digest: str, file: Path) -> None:
    seen = hashlib.sha256()
    with file.open("wb") as target:
        while True:
            piece = line.raw("read", digest, target.tell(), PIECE_BYTES, wait_sec=_PIECE_SEC)
            if piece is None:
                raise UserError(f"{digest}: the head has not got this file any more; put the plan in again")
            target.write(piece)
            seen.update(piece)
            if len(piece) < PIECE_BYTES:
                break
    if seen.hexdigest() != digest:
        raise TransientError(f"{digest}: what arrived is another content")


def _safe(name: str) -> str:
    """`name`, as a path that stays below where it is put."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or len(name) > 1000:
        raise UserError(f"{name[:100]!r}: no name of a file in an artifact")
    return name


def _make_room(root: Path) -> None:
    """Remove what was used longest ago until the rest is small enough."""
    kept: list[tuple[float, int, Path]] = []
    for each in root.iterdir():
        if each.is_dir() and not each.name.startswith("."):
            size = sum(file.stat().st_size for file in each.rglob("*") if file.is_file())
            kept.append((each.stat().st_mtime, size, each))
    total = sum(size for _, size, _ in kept)
    for _, size, each in sorted(kept, key=lambda entry: entry[0]):
        if total <= _MOST_KEPT_BYTES:
            return
        shutil.rmtree(each, ignore_errors=True)
        total -= size


def together(paths: Sequence[Path], known: dict[Path, Listing]) -> list[Listing]:
    """The listings of these paths; each is made once."""
    for path in paths:
        if path not in known:
            known[path] = listing(path)
    return [known[path] for path in paths]
