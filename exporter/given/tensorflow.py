"""A Keras model or a SavedModel becomes a .tflite by TensorFlow's own converter, in a process of its own.

TensorFlow is never imported here: it is installed beside the exporter (extra `tensorflow`) or in a Python of its own, which
the variable EDGEDEPLOY_TENSORFLOW names.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgedeploy.errors import UserError
from edgedeploy.limited_process import told_by
from exporter.fetch import sha256_of
from exporter.given import TENSORFLOW_FORMS, form_of
from exporter.given.file import GivenFile
from exporter.given.probe import DOING, probe
from exporter.runtimes.lowering import Feeds

VARIABLE = "EDGEDEPLOY_TENSORFLOW"
#: of address space: TensorFlow maps much more than it uses
MEMORY, WALL_SEC = 32 << 30, 1800
_PROCESS = Path(__file__).with_name("tensorflow_process.py")
#: the scheme of static int8 that is TensorFlow's own
SCHEME = "tensorflow"
DESCRIPTION = {
    "weights": "int8 per channel",
    "activations": "int8 per tensor",
    "covers": "every operator (TensorFlow's full-integer conversion)",
    "left_float": "the inputs and outputs",
}


def convert(path: Path) -> tuple[GivenFile, str]:
    """The model as a float .tflite for batch 1 that was examined, and the digest of what was given.

    Raises UserError where TensorFlow is not there, and where it or the checks before it refuse the model.
    """
    python = python_for(path)
    digest = _digest(path)
    folder = tempfile.TemporaryDirectory(prefix="edgedeploy-tensorflow-")
    told = _run(python, path, "convert", str(path.resolve()), folder.name)
    made = probe(Path(folder.name) / "float.tflite", path)
    return (
        replace(
            made, form=form_of(str(path)) or "", fixed=Path(folder.name) / "fixed", kept=(made.kept, folder),
            tools={"tensorflow": str(told["tensorflow"])},
            changes=(f"converted for a batch of 1; on made-up inputs max |difference| {float(told['max_abs']):.1e}",),
        ),
        digest,
    )  # fmt: skip


def is_from_tensorflow(given: GivenFile | None) -> bool:
    """Whether TensorFlow's own quantisation is there for the file."""
    return given is not None and given.form in TENSORFLOW_FORMS


def quantise(given: GivenFile, examples: Iterable[Feeds], destination: Path) -> None:
    """Static int8 by TensorFlow, ranges by min-max over the examples (by the file's names of its inputs)."""
    assert given.fixed is not None  # files of these forms have one
    columns: dict[str, list[Any]] = {}
    for feeds in examples:
        for name, array in feeds.items():
            columns.setdefault(name, []).append(array)
    with tempfile.TemporaryDirectory(prefix="edgedeploy-tensorflow-") as scratch:
        arrays, made = Path(scratch) / "examples.npz", Path(scratch) / "int8.tflite"
        np.savez(arrays, allow_pickle=False, **{name: np.concatenate(parts) for name, parts in columns.items()})
        _run(python_for(given.path), given.fixed, "quantise", str(given.fixed), str(arrays), str(made))
        destination.write_bytes(made.read_bytes())


def python_for(path: Path) -> str:
    """The Python that has TensorFlow."""
    named = os.environ.get(VARIABLE)
    if named:
        if not os.access(named, os.X_OK):
            raise UserError(f"{VARIABLE} is {named}, which is no Python that can be run")
        return named
    if importlib.util.find_spec("tensorflow") is None:
        raise UserError(
            f"{path} needs TensorFlow to be converted: pip install 'edgedeploy[tensorflow]' (1.4 GB), or set {VARIABLE} to a "
            "Python in which it is installed"
        )
    return sys.executable


def _run(python: str, path: Path, *arguments: str) -> dict[str, Any]:
    command = [python, "-P", str(_PROCESS), *arguments, str(MEMORY)]
    try:
        ended = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=WALL_SEC, check=False)
    except subprocess.TimeoutExpired:
        raise UserError(f"TensorFlow did not finish with {path} in {WALL_SEC} s") from None
    except OSError as error:
        raise UserError(f"{python} cannot be run: {error.strerror}; set {VARIABLE} to a Python with TensorFlow") from None
    return told_by(ended, f"{path} cannot be converted", "TensorFlow", DOING)


def _digest(path: Path) -> str:
    """sha256 of a file, or over the files of a folder and their names."""
    if path.is_file():
        return sha256_of(path)
    total = hashlib.sha256()
    for file in sorted(each for each in path.rglob("*") if each.is_file()):
        total.update(f"{file.relative_to(path).as_posix()}\0{sha256_of(file)}\0".encode())
    return total.hexdigest()
