"""Small model files as others may give them: an .onnx written by hand, a .tflite and a .pte of the tiny CNN."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from exporter import runtimes
from exporter.runtimes.base import Work
from tests.exporter import tiny

INPUTS = {"onnx": "image", "tflite": "args_0", "executorch": "input_0"}


@lru_cache
def file_of(runtime: str, folder: Path, precision: str = "fp32") -> Path:
    """The tiny CNN lowered to a runtime; the file is all that the tests go on with."""
    made = runtimes.get(runtime)
    work = Work(tiny.trained(24), tiny.SIGNATURE, "convolutional", "x86_64-vnni", tiny.split("calibration"))
    path = folder / f"tiny-{precision}{made.suffix}"
    if precision == "fp32":
        made.lower(work, path)
    else:
        made.lower_int8(work, made.schemes(work)[0], "minmax", path)
    return path


def data_of(folder: Path, name: str, *, labels: bool = True, count: int | None = None) -> Path:
    """The tiny sets as an .npz for an input of this name."""
    arrays: dict[str, Any] = {}
    for split in ("calibration", "validation", "evaluation"):
        some = tiny.split(split)
        some = some.take(range(min(count or len(some), len(some))))
        arrays[f"{split}_{name}"] = some.batch(0, len(some))["image"]
        if labels:
            arrays[f"{split}_labels"] = some.labels
    path = folder / "data.npz"
    np.savez(path, **arrays)
    return path


def by_hand(path: Path, *, opset: int = 11, batch: int | str = "N", ir: int = 3, input_name: str = "data:0") -> Path:
    """An .onnx as old tools wrote them: an open batch, constants that are inputs too, names with / and :, operator set 11."""
    net: Any = tiny.trained(24)
    first, norm, second, norm2, third = (net.features[i] for i in (0, 1, 3, 4, 6))
    weights: dict[str, Any] = {
        "c1/w": first.weight, "c1/b": first.bias, "n1/s": norm.weight, "n1/b": norm.bias, "n1/m": norm.running_mean,
        "n1/v": norm.running_var, "c2/w": second.weight, "c2/b": second.bias, "n2/s": norm2.weight, "n2/b": norm2.bias,
        "n2/m": norm2.running_mean, "n2/v": norm2.running_var, "c3/w": third.weight, "c3/b": third.bias,
        "fc/w": net.head.weight, "fc/b": net.head.bias,
    }  # fmt: skip
    constants = [numpy_helper.from_array(value.detach().numpy(), name) for name, value in weights.items()]

    def conv(number: int, given: str, stride: int) -> Any:
        return helper.make_node(
            "Conv", [given, f"c{number}/w", f"c{number}/b"], [f"c{number}/out"], f"conv{number}",
            pads=[1, 1, 1, 1], strides=[stride, stride],
        )  # fmt: skip

    def norm_of(number: int) -> Any:
        inputs = [f"c{number}/out", *(f"n{number}/{part}" for part in "sbmv")]
        return helper.make_node("BatchNormalization", inputs, [f"n{number}/out"], f"norm{number}")

    nodes = [
        conv(1, input_name, 1), norm_of(1), helper.make_node("Relu", ["n1/out"], ["r1"], "relu1"),
        conv(2, "r1", 2), norm_of(2), helper.make_node("Relu", ["n2/out"], ["r2"], "relu2"),
        conv(3, "r2", 1), helper.make_node("Relu", ["c3/out"], ["r3"], "relu3"),
        helper.make_node("GlobalAveragePool", ["r3"], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "fc/w", "fc/b"], ["scores/out"], "fc", transB=1),
    ]  # fmt: skip
    inputs = [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, [batch, 3, 16, 16])]
    if ir < 4:
        inputs += [helper.make_tensor_value_info(each.name, TensorProto.FLOAT, each.dims) for each in constants]
    outputs = [helper.make_tensor_value_info("scores/out", TensorProto.FLOAT, [batch, 4])]
    graph = helper.make_graph(nodes, "by hand", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    onnx.save(model, str(path))
    return path
