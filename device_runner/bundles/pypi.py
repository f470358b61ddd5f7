"""A wheel, by the user's own pip: its index, its proxy, its certificates."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgedeploy.errors import TransientError, UserError

if TYPE_CHECKING:
    from device_runner.bundles.pins import Package

_DOWNLOAD_SEC = 1800
#: the Python the wheels are for; nothing of it is used
_PYTHON = "3.11"


def download(package: Package, scratch: Path) -> Path:
    """Fetch it into `scratch`. Raises TransientError when it cannot be had, UserError without pip."""
    if importlib.util.find_spec("pip") is None:
        raise UserError(f"pip is missing in {sys.executable}; install it with {sys.executable} -m ensurepip")
    requirement = scratch / "requirement.txt"
    requirement.write_text(f"{package.package}=={package.version} --hash=sha256:{package.sha256}\n", "utf-8")
    command = [
        sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", "download",
        "--no-deps", "--only-binary=:all:", "--require-hashes", "--implementation", "cp",
        "--python-version", _PYTHON, "--abi", f"cp{_PYTHON.replace('.', '')}", "--platform", str(package.platform),
        "--dest", str(scratch), "--requirement", str(requirement),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_SEC, check=False)
    got = scratch / package.archive
    if done.returncode or not got.is_file():
        last = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise TransientError(f"{package.archive} cannot be downloaded: {last}")
    return got
