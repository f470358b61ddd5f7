"""Model files as given: .onnx, .tflite and .pte are deployed on their own runtime, without the model they were made from."""

from __future__ import annotations

from pathlib import PurePath

#: suffix -> the runtime that such a file is for
RUNTIMES = {".onnx": "onnx", ".tflite": "tflite", ".pte": "executorch"}
#: files that exporters write the weights of an .onnx to, beside it: `x.onnx.data` (torch), `x.onnx_data` (optimum)
COMPANIONS = (".data", "_data")


def runtime_of(name: str) -> str | None:
    """The runtime that the file of this name is for; None for anything that is no file as given."""
    return RUNTIMES.get(PurePath(name).suffix.lower())
