"""A given file is read, loaded and run for the first time in a process of its own, with limits: it may be hostile."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgedeploy.errors import UserError
from exporter.given import RUNTIMES
from exporter.given.file import GivenFile, specs

#: of the first load and the first run together
CPU_SEC, WALL_SEC = 300, 600
#: address space: what the runtimes and their libraries map, and some copies of the model
LEAST_BYTES, PER_BYTE = 12 << 30, 6
#: protobuf and flatbuffers end here
MOST_BYTES = 2**31 - 1


def probe(path: Path, given: Path | None = None) -> GivenFile:
    """What the file is; `given`: what it was made from, which the user knows it by.

    Raises UserError where there is none, and where it cannot be used: damaged, hostile, not static.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}.")
    called = given or path
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise UserError(f"{called} has {size:,} bytes; model files of up to 2 GB can be taken.")
    form = path.suffix.lower()
    folder = tempfile.TemporaryDirectory(prefix="edgedeploy-given-")
    copy = Path(folder.name) / f"model{form}"
    command = [sys.executable, "-P", "-m", "exporter.given.examine", str(path.resolve()), str(copy), str(_memory(size))]
    # the very code that runs here, wherever it was imported from; -P: nothing out of the folder the user is in
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
    try:
        ended = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=WALL_SEC, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{called} was not loaded and run once in {WALL_SEC} s; it cannot be used.") from None
    told = told_by(ended, f"{called} cannot be used", "its runtime")
    return GivenFile(
        path=copy, form=form, runtime=RUNTIMES[form],
        inputs=specs(told["inputs"], str(called)), outputs=specs(told["outputs"], str(called)),
        own_inputs=tuple(end["name"] for end in told["inputs"]), own_outputs=tuple(end["name"] for end in told["outputs"]),
        parameters=told["parameters"], macs=told["macs"], family=told["family"], small=told["small"],
        changes=tuple(told["changes"]), kept=folder,
    )  # fmt: skip


def limit(memory: int) -> None:
    """Put the limits on this process."""
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, CPU_SEC),
        (resource.RLIMIT_FSIZE, MOST_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def _memory(size: int) -> int:
    return max(LEAST_BYTES, PER_BYTE * size)


def told_by(ended: subprocess.CompletedProcess[bytes], cannot: str, what: str) -> dict[str, Any]:
    """The line of JSON that a process with limits ended with. Raises UserError, which begins with `cannot`, where it says
    refused, or where the process told nothing; `what` ran in it."""
    try:
        told = json.loads(ended.stdout.splitlines()[-1])
        refused = told.get("refused")
    except (ValueError, IndexError, AttributeError):
        refused = _death(ended, what)
    if refused is not None:
        raise UserError(f"{cannot}: {refused}")
    made: dict[str, Any] = told
    return made


def _death(ended: subprocess.CompletedProcess[bytes], what: str) -> str:
    """How a process ended that told nothing, in words."""
    lines = [line.strip() for line in ended.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    said = f" ({lines[-1][:300]})" if lines else ""
    if ended.returncode < 0:
        name = signal.Signals(-ended.returncode).name
        return f"{what} died of {name} while loading it or running it once{said}"
    return f"{what} ended with exit code {ended.returncode} while loading it or running it once{said}"
