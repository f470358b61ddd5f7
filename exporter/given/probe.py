"""A given file is read, loaded and run for the first time in a process of its own, with limits: it may be hostile."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from edgedeploy import limited_process
from edgedeploy.errors import UserError
from exporter.given import RUNTIMES
from exporter.given.file import GivenFile, specs

#: of the first load and the first run together
CPU_SEC, WALL_SEC = 300, 600
#: what such a process is at when it dies
DOING = "loading it or running it once"
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
    try:
        ended = limited_process.run("exporter.given.examine", [str(path.resolve()), str(copy), str(_memory(size))], WALL_SEC)
    except subprocess.TimeoutExpired:
        raise UserError(f"{called} was not loaded and run once in {WALL_SEC} s; it cannot be used.") from None
    told = limited_process.told_by(ended, f"{called} cannot be used", "its runtime", DOING)
    return GivenFile(
        path=copy, form=form, runtime=RUNTIMES[form],
        inputs=specs(told["inputs"], str(called)), outputs=specs(told["outputs"], str(called)),
        own_inputs=tuple(end["name"] for end in told["inputs"]), own_outputs=tuple(end["name"] for end in told["outputs"]),
        parameters=told["parameters"], macs=told["macs"], family=told["family"], small=told["small"],
        changes=tuple(told["changes"]), kept=folder,
    )  # fmt: skip


def limit(memory: int) -> None:
    """Put the limits on this process."""
    limited_process.limit(memory, CPU_SEC, MOST_BYTES)


def _memory(size: int) -> int:
    return max(LEAST_BYTES, PER_BYTE * size)
