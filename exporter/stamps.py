"""Whether a bundle's files are those whose digests were checked before, by what the file system says of them: nothing is read.

A file that was written to has another time of change (ctime), which no program sets; copied or restored, it has another inode.
"""

from __future__ import annotations

import os
from pathlib import Path

from edgedeploy import bundle

#: name from the bundle's folder -> bytes, times of modification and of change (ns), inode; of a folder only that it is there
Stamps = dict[str, list[int]]


def of(path: Path) -> Stamps:
    """The stamps of everything below a bundle's folder. Raises OSError where it cannot be listed."""
    found: Stamps = {}
    todo = [path]
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                folder = entry.is_dir(follow_symlinks=False)
                status = entry.stat(follow_symlinks=False)
                name = Path(entry.path).relative_to(path).as_posix()
                found[name] = [] if folder else [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
                if folder:
                    todo.append(Path(entry.path))
    return found


def as_sealed(path: Path) -> Stamps | None:
    """The stamps of a bundle that nobody wrote to since it was sealed; None where somebody may have.

    Sealing writes the file of the digests last, when all others have theirs.
    """
    found = of(path)
    sealed = found.get(bundle.DIGEST)
    if not sealed or any(stamp[2] > sealed[2] for stamp in found.values() if stamp):
        return None
    return found


def checked(there: bundle.Bundle, known: Stamps | None) -> Stamps:
    """The stamps of a bundle whose files are whole: as `known` says, else because every digest was checked now.

    Raises BundleError where a file is not what the manifest says.
    """
    found = of(there.path)
    if found != known:
        bundle.check_files(there)
    return found
