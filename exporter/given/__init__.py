"""Model files as given, deployed without the model they were made from.

.onnx, .tflite and .pte on their own runtime; a Keras model (.keras) or a SavedModel (a folder) as the .tflite that TensorFlow
makes of it.
"""

from __future__ import annotations

from pathlib import Path

#: a folder with saved_model.pb
SAVED_MODEL = "SavedModel"
#: form -> the runtime that such a file is for, or can be converted to
RUNTIMES = {".onnx": "onnx", ".tflite": "tflite", ".pte": "executorch", ".keras": "tflite", SAVED_MODEL: "tflite"}
#: what TensorFlow is needed for
TENSORFLOW_FORMS = (".keras", SAVED_MODEL)
#: files that exporters write the weights of an .onnx to, beside it: `x.onnx.data` (torch), `x.onnx_data` (optimum)
COMPANIONS = (".data", "_data")


def form_of(name: str) -> str | None:
    """What the file of this name is, one of `RUNTIMES`; None for anything that is no file as given."""
    path = Path(name)
    suffix = path.suffix.lower()
    if suffix in RUNTIMES:
        return suffix
    return SAVED_MODEL if (path / "saved_model.pb").is_file() else None


def runtime_of(name: str) -> str | None:
    """The runtime that the file of this name is for; None for anything that is no file as given."""
    form = form_of(name)
    return RUNTIMES[form] if form is not None else None
