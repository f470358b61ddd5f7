"""Files by their sha256: what the artifacts of a plan consist of, on their way to the lab hosts."""

from __future__ import annotations

import os
import re
from pathlib import Path

from edgedeploy.bundle import file_sha256
from edgedeploy.errors import UserError

#: of one call; the queue waits for no more than that
PIECE_BYTES = 2**22
#: a model file that is larger does not fit on the devices that are measured here
MOST_BYTES = 8 * 2**30
_DIGEST = re.compile("[0-9a-f]{64}")


class Blobs:
    """A directory of files that are called by their digest. One that is there is whole."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Where it is, or would be. Raises UserError for what is no digest."""
        if not _DIGEST.fullmatch(digest):
            raise UserError(f"{digest[:80]!r} is no sha256")
        return self.root / digest

    def missing(self, digests: list[str]) -> list[str]:
        return [digest for digest in digests if not self.path(digest).is_file()]

    def write(self, digest: str, offset: int, piece: bytes, *, last: bool) -> None:
        """The next piece; with the last one, the file is checked and given its name. Raises UserError for another content."""
        target = self.path(digest)
        if offset + len(piece) > MOST_BYTES:
            raise UserError(f"{digest}: over {MOST_BYTES} bytes")
        part = target.with_suffix(".part")
        with part.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            file.write(piece)
            file.truncate()
        if last:
            if file_sha256(part) != digest:
                part.unlink()
                raise UserError(f"{digest}: what arrived is another content; try again")
            os.replace(part, target)

    def read(self, digest: str, offset: int, count: int) -> bytes | None:
        """`count` bytes from `offset`, fewer at the end; None where there is no such file."""
        try:
            with self.path(digest).open("rb") as file:
                file.seek(offset)
                return file.read(min(count, PIECE_BYTES))
        except FileNotFoundError:
            return None
