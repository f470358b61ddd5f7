"""What is given by somebody else is read first in a process of its own, with limits: its reader may crash, hang or swell.

`run` starts a module of ours, which calls `limit` before it looks at anything, and ends with one line of JSON on stdout;
`told_by` is that line, or how the process died, in a sentence.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from edgedeploy.errors import UserError


def limit(memory: int, cpu_sec: int, file_bytes: int) -> None:
    """Put limits on this process: of address space in bytes, of CPU time, and of the files it writes; it leaves no core."""
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, cpu_sec),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def run(
    module: str, arguments: Sequence[str], wall_sec: float, *, given: bytes = b"", to: IO[bytes] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run `python -m module` with the very code that runs here. given: its stdin. to: a file for its stdout, which is
    kept in memory otherwise. Raises subprocess.TimeoutExpired."""
    # wherever it was imported from; -P: nothing out of the folder the user is in
    root = str(Path(__file__).resolve().parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
    return subprocess.run(
        [sys.executable, "-P", "-m", module, *arguments],
        input=given, stdout=to or subprocess.PIPE, stderr=subprocess.PIPE, timeout=wall_sec, check=False, env=environment,
    )  # fmt: skip


def told_by(ended: subprocess.CompletedProcess[bytes], cannot: str, what: str, doing: str) -> dict[str, Any]:
    """The line of JSON that a process with limits ended with. Raises UserError, which begins with `cannot`, where it says
    refused, or where the process told nothing while `what` was `doing` something in it."""
    try:
        told = json.loads(ended.stdout.splitlines()[-1])
        refused = told.get("refused")
    except (ValueError, IndexError, AttributeError):
        refused = death(ended, what, doing)
    if refused is not None:
        raise UserError(f"{cannot}: {refused}")
    made: dict[str, Any] = told
    return made


def death(ended: subprocess.CompletedProcess[bytes], what: str, doing: str) -> str:
    """How a process ended that told nothing, in words."""
    lines = [line.strip() for line in ended.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    said = f" ({lines[-1][:300]})" if lines else ""
    if ended.returncode < 0:
        return f"{what} died of {signal.Signals(-ended.returncode).name} while {doing}{said}"
    return f"{what} ended with exit code {ended.returncode} while {doing}{said}"
