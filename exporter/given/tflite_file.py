"""A .tflite as given: its copy, loaded and run once, and what it is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

#: types of constants or activations that say that somebody made the file small already
_SMALL = ("INT8", "UINT8", "INT16", "INT4", "FLOAT16", "BFLOAT16")


def examine(source: Path, copy: Path) -> dict[str, Any]:
    """As `exporter.given.examine` tells it. Raises an exception whose message says why the file cannot be used."""
    from ai_edge_litert.interpreter import Interpreter

    from exporter.backends import tflite_coverage
    from exporter.backends.tflite_ends import ends
    from exporter.given.examine import Refused

    with source.open("rb") as file:
        if file.read(8)[4:8] != b"TFL3":
            raise Refused("it is no TFLite model, or a damaged one")
    shutil.copyfile(source, copy)
    try:
        interpreter = Interpreter(model_path=str(copy), num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise Refused(f"LiteRT does not take it: {error}") from None
    if len(interpreter.get_signature_list()) > 1:
        raise Refused("it has more than one signature; convert it with the one that is to be deployed")
    inputs, outputs = ends(interpreter)
    for details in inputs.values():
        shape = [int(dim) for dim in details["shape"]]
        if shape[:1] != [1]:
            raise Refused(f"its input {details['name']!r} is {shape}; convert it for a batch of 1")
        interpreter.set_tensor(details["index"], np.zeros(shape, details["dtype"]))
    interpreter.invoke()
    given = [interpreter.get_tensor(details["index"]) for details in outputs.values()]
    nodes, tensors = tflite_coverage.read(copy)
    kinds = {node.kind for node in nodes}
    small = sorted({tensor.type for tensor in tensors} & set(_SMALL))
    return {
        "inputs": [_end(name, np.dtype(each["dtype"]), each["shape"]) for name, each in inputs.items()],
        "outputs": [_end(name, array.dtype, array.shape) for name, array in zip(outputs, given, strict=True)],
        "changes": [],
        "small": f"it holds {', '.join(small)} tensors already" if small else "",
        "parameters": sum(tflite_coverage.stored(copy).values()),
        "macs": tflite_coverage.of(copy, interpreter).macs,
        "family": "convolutional" if kinds & {"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "CONV_3D"} else "transformer",
    }


def _end(name: str, dtype: Any, shape: Any) -> dict[str, Any]:
    return {"name": name, "dtype": np.dtype(dtype).name, "shape": [int(dim) for dim in shape]}
