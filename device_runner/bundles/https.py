"""A file by HTTPS, bounded. What it is, its digest says."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

from edgedeploy.errors import TransientError, UserError

_STALLED_SEC = 60
_MAX_BYTES = 512 * 2**20
_CHUNK_BYTES = 2**20


def download(url: str, target: Path) -> None:
    """Fetch `url` to `target`. Raises TransientError when it cannot be had, UserError for an address that is not HTTPS."""
    if not url.startswith("https://"):
        raise UserError(f"{url!r} must be an https:// address")
    try:
        with urllib.request.urlopen(url, timeout=_STALLED_SEC) as answer, target.open("wb") as out:  # noqa: S310 (https, see above)
            left = _MAX_BYTES
            while piece := answer.read(_CHUNK_BYTES):
                left -= len(piece)
                if left < 0:
                    raise TransientError(f"{target.name} cannot be downloaded: it does not end")
                out.write(piece)
    except (urllib.error.URLError, OSError) as error:
        raise TransientError(f"{target.name} cannot be downloaded: {error}") from None
