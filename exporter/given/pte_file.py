"""A .pte as given: its copy, loaded and run once, and what it is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np


def examine(source: Path, copy: Path) -> dict[str, Any]:
    """As `exporter.given.examine` tells it. Raises an exception whose message says why the file cannot be used."""
    from exporter.backends import executorch_file, executorch_stored
    from exporter.given.examine import Refused
    from exporter.runtimes.executorch import ExecutorchModel

    with source.open("rb") as file:
        if file.read(8)[4:6] != b"ET":
            raise Refused("it is no ExecuTorch program, or a damaged one")
    shutil.copyfile(source, copy)
    try:
        model = ExecutorchModel(copy, 1)
    except Exception as error:
        raise Refused(f"ExecuTorch does not take it: {error}") from None
    for spec in model.inputs:
        if spec.shape[:1] != (1,):
            raise Refused(f"its input {spec.name} is {list(spec.shape)}; lower the model for a batch of 1")
    given = model({spec.name: np.zeros(spec.shape, spec.dtype) for spec in model.inputs})
    if [array.shape for array in given.values()] != [spec.shape for spec in model.outputs]:
        raise Refused("its outputs have shapes that are only known when it runs")
    coverage = executorch_file.coverage(copy)
    stored = executorch_stored.stored(copy)
    convolves = any("convolution" in op.kind for op in coverage.heavy)
    return {
        "inputs": [{"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)} for spec in model.inputs],
        "outputs": [{"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)} for spec in model.outputs],
        "changes": [],
        "parameters": sum(stored.values()),
        "small": "" if set(stored) <= {"float32"} else f"it holds {', '.join(sorted(stored))} weights already",
        "macs": coverage.macs, "family": "convolutional" if convolves else "transformer",
    }  # fmt: skip
