"""The command line as a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def run_cli(*args: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `edgedeploy` with these arguments in `cwd`."""
    command = [sys.executable, "-m", "edgedeploy", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=600, check=False)
