"""ONNX models made by hand: a tensor in, the same tensor out, of any type and shape; and some that misbehave."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

TYPES = {
    "float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "int8": TensorProto.INT8, "uint8": TensorProto.UINT8,
    "int16": TensorProto.INT16, "int32": TensorProto.INT32, "int64": TensorProto.INT64, "bool": TensorProto.BOOL,
    "float64": TensorProto.DOUBLE, "string": TensorProto.STRING,
}  # fmt: skip


def save(path: Path, nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], initial: Sequence[Any] = ()) -> None:
    graph = helper.make_graph(list(nodes), "g", list(inputs), list(outputs), list(initial))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())


def value(name: str, dtype: str, shape: Sequence[int | str]) -> Any:
    return helper.make_tensor_value_info(name, TYPES[dtype], list(shape))


def identity(path: Path, dtype: str, shape: Sequence[int | str]) -> None:
    save(path, [helper.make_node("Identity", ["x"], ["y"])], [value("x", dtype, shape)], [value("y", dtype, shape)])


def external(path: Path, location: str) -> None:
    """y = x + w, where w is in another file."""
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, text in (("location", location), ("offset", "0"), ("length", "16")):
        entry = weight.external_data.add()
        entry.key, entry.value = key, text
    save(
        path, [helper.make_node("Add", ["x", "w"], ["y"])], [value("x", "float32", [4])], [value("y", "float32", [4])], [weight]
    )


def hungry(path: Path, elements: int) -> None:
    """Takes 4 * elements bytes while it runs."""
    size = helper.make_tensor("size", TensorProto.INT64, [1], [elements])
    nodes = [
        helper.make_node("Expand", ["x", "size"], ["wide"]),
        helper.make_node("Mul", ["wide", "wide"], ["square"]),
        helper.make_node("ReduceSum", ["square"], ["y"], keepdims=0),
    ]
    save(path, nodes, [value("x", "float32", [1])], [value("y", "float32", [])], [size])


def slow(path: Path) -> None:
    """A call that takes seconds."""
    size = helper.make_tensor("size", TensorProto.INT64, [2], [2500, 2500])
    nodes = [helper.make_node("Expand", ["x", "size"], ["a0"])]
    nodes += [helper.make_node("MatMul", [f"a{i}", f"a{i}"], [f"a{i + 1}"]) for i in range(12)]
    nodes.append(helper.make_node("ReduceSum", ["a12"], ["y"], keepdims=0))
    save(path, nodes, [value("x", "float32", [1])], [value("y", "float32", [])], [size])


def gather(path: Path) -> None:
    """Rows of a table of three by ids; an id beyond it is the model's own trouble."""
    table = helper.make_tensor("table", TensorProto.FLOAT, [3, 2], [0, 1, 2, 3, 4, 5])
    node = helper.make_node("Gather", ["table", "ids"], ["y"])
    save(path, [node], [value("ids", "int64", [2])], [value("y", "float32", [2, 2])], [table])


def parse(path: Path) -> onnx.ModelProto:
    return onnx.load_model_from_string(path.read_bytes())
