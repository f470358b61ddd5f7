"""Files of Debian packages of any architecture, without installing them: fetched once by apt, kept in the cache.

apt's own verification holds; its lists for the other architecture are kept beside, so that the machine's stay as they are.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from device_runner.cache import cache_root

#: before any test changes it
_KEPT = cache_root() / "debian"


def unpacked(package: str, architecture: str) -> Path:
    """A directory with the package's files, of the release that this machine has."""
    target = _KEPT / f"{package}-{architecture}"
    if not target.is_dir():
        _KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_KEPT) as scratch:
            subprocess.run(["apt-get", *_options(architecture), "-qq", "download", package], cwd=scratch, check=True)
            (archive,) = Path(scratch).glob("*.deb")
            subprocess.run(["dpkg-deb", "-x", archive, Path(scratch, "files")], check=True)
            os.rename(Path(scratch, "files"), target)
    return target


def _options(architecture: str) -> list[str]:
    state = _KEPT / f"apt-{architecture}"
    options = [
        f"APT::Architecture={architecture}", f"APT::Architectures={architecture}", "APT::Sandbox::User=root",
        "Acquire::Languages=none", f"Dir::State::Lists={state}/lists", f"Dir::Cache={state}/cache",
    ]  # fmt: skip
    arguments = [word for option in options for word in ("-o", option)]
    if not state.is_dir():
        (state / "lists/partial").mkdir(parents=True)
        (state / "cache/archives/partial").mkdir(parents=True)
        subprocess.run(["apt-get", *arguments, "-qq", "update"], check=True)
    return arguments
