"""Reading out of a wheel, an .aar or an npm package. An archive is hostile: what it holds is bounded, and stays inside."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from edgedeploy.errors import UserError

#: of one file; the largest library is a tenth of it
MAX_FILE_BYTES = 512 * 2**20
#: of all that is taken from one archive
MAX_TAKEN_BYTES = 2 * 2**30
_CHUNK_BYTES = 4 * 2**20


def names(archive: Path) -> list[str]:
    """The plain files in it. Raises UserError for a file that is no archive."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                return [info.filename for info in opened.infolist() if not info.is_dir()]
        with tarfile.open(archive, "r:*") as opened_tar:
            return [member.name for member in opened_tar if member.isfile()]
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise UserError(f"{archive} is no .whl, .aar, .zip or .tgz that can be read: {error}") from None


def extract(archive: Path, files: Mapping[str, Path], below: Mapping[str, Path] | None = None) -> None:
    """Write members to where `files` says, and all that is below the directories of `below` into those of this host.

    Names come from us; of what `below` finds, only plain relative paths are written. Raises UserError when a member is
    missing, when it or their sum is too large, and for a file that is no archive.
    """
    missing = dict(files)
    taken = 0
    try:
        for name, size, stream in _members(archive):
            target = missing.pop(name, None) or _target_below(name, below or {})
            if target is None:
                continue
            taken += size
            if size > MAX_FILE_BYTES or taken > MAX_TAKEN_BYTES:
                raise UserError(f"{archive.name}: {name} is too large to be what it should be")
            _write(stream, target, size)
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise UserError(f"{archive} cannot be read: {error}") from None
    if missing:
        raise UserError(f"{archive.name} has no {', '.join(sorted(missing))}")


def _members(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if not info.is_dir():
                    with opened.open(info) as stream:
                        yield info.filename, info.file_size, stream
        return
    # as a stream: once through, in the order it has
    with tarfile.open(archive, "r|*") as opened_tar:
        for member in opened_tar:
            file = opened_tar.extractfile(member) if member.isfile() else None
            if file is not None:
                yield member.name, member.size, file


def _target_below(name: str, below: Mapping[str, Path]) -> Path | None:
    for prefix, directory in below.items():
        inside = PurePosixPath(name[len(prefix) :])
        if name.startswith(prefix) and inside.parts and not inside.is_absolute() and ".." not in inside.parts:
            return directory / inside
    return None


def _write(stream: IO[bytes], target: Path, size: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    left = size
    with target.open("wb") as out:
        # no further than was said, whatever a compressed stream goes on to give
        while left > 0 and (piece := stream.read(min(left, _CHUNK_BYTES))):
            out.write(piece)
            left -= len(piece)
    if left:
        raise EOFError(f"{target.name} is cut short")
