"""A package of npm: by the user's own npm where there is one (its registry, its proxy, its tokens), else by HTTPS."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from device_runner.bundles import https
from edgedeploy.errors import TransientError, UserError

if TYPE_CHECKING:
    from device_runner.bundles.pins import Package

_DOWNLOAD_SEC = 1800
#: npm's own default
_REGISTRY = "https://registry.npmjs.org"


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
    https.download(url, target)
