"""A package of npm: by the user's own npm where there is one (its registry, its proxy, its tokens), else by HTTPS."""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from edgedeploy.errors import TransientError, UserError

if TYPE_CHECKING:
    from device_runner.bundles.pins import Package

_DOWNLOAD_SEC = 1800
_STALLED_SEC = 60
#: npm's own default
_REGISTRY = "https://registry.npmjs.org"
_MAX_BYTES = 512 * 2**20
_CHUNK_BYTES = 2**20


def download(package: Package, scratch: Path) -> Path:
    """Fetch it into `scratch`. Raises TransientError when it cannot be had, UserError for a registry that is not HTTPS."""
    got = scratch / package.archive
    npm = shutil.which("npm")
    if npm is None:
        _by_https(package, got)
        return got
    command = [
        npm, "pack", f"{package.package}@{package.version}", "--ignore-scripts", "--silent", "--pack-destination", str(scratch)
    ]  # fmt: skip
    # away from any package.json or .npmrc of the directory we happen to be in
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=_DOWNLOAD_SEC, check=False)
    if done.returncode or not got.is_file():
        last = (done.stderr.strip().splitlines() or ["npm gave no reason"])[-1]
        raise TransientError(f"{package.archive} cannot be downloaded: {last}")
    return got


def _by_https(package: Package, target: Path) -> None:
    # npm takes it in either case
    set_by_user = {name.lower(): value for name, value in os.environ.items()}.get("npm_config_registry")
    registry = set_by_user or _REGISTRY
    if not registry.startswith("https://"):
        raise UserError(f"npm_config_registry is {registry!r}; without npm itself it must be an https:// address")
    url = f"{registry.rstrip('/')}/{package.package}/-/{package.archive}"
    try:
        with urllib.request.urlopen(url, timeout=_STALLED_SEC) as answer, target.open("wb") as out:  # noqa: S310 (https, see above)
            left = _MAX_BYTES
            while piece := answer.read(_CHUNK_BYTES):
                left -= len(piece)
                if left < 0:
                    raise TransientError(f"{package.archive} cannot be downloaded: it does not end")
                out.write(piece)
    except (urllib.error.URLError, OSError) as error:
        raise TransientError(f"{package.archive} cannot be downloaded: {error}") from None
