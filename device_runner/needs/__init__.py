"""What a model file asks of its runtime, read without that runtime: small readers that take every file for hostile."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path

from device_runner.needs import executorch_program, onnx_file, tflite_file
from device_runner.needs.flatbuffer import Data
from device_runner.needs.malformed import Malformed
from device_runner.needs.words import Needs

__all__ = ["Malformed", "Needs", "of"]

_READERS: dict[str, Callable[[Data], Needs]] = {
    "onnx": onnx_file.read,
    "tflite": tflite_file.read,
    "executorch": executorch_program.read,
}


def of(model: Path, runtime: str) -> Needs:
    """What the file asks of `runtime`. Raises Malformed for a file that is none of that runtime, OSError for none at all."""
    with model.open("rb") as file:
        if not file.seek(0, 2):
            raise Malformed("an empty file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _READERS[runtime](data)
