"""Models that ask for more than a runtime has: real ones, changed in the one place that says so."""

from __future__ import annotations

import struct
from pathlib import Path

from onnx import TensorProto, helper, save

from device_runner.needs import flatbuffer, tflite_file


def onnx(path: Path, opset: int) -> Path:
    """One operator of that opset, which need not exist yet."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "new", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    save(model, path)
    return path


def tflite(path: Path, source: Path, operator: str, version: int) -> Path:
    """`source` with that version of an operator that it has."""
    data = bytearray(source.read_bytes())
    code = tflite_file.operators().index(operator)
    for entry in flatbuffer.root(bytes(data), (tflite_file.IDENTIFIER,)).tables(1):
        if max(entry.int8(0), entry.int32(3)) == code:
            where = entry._where(2)
            assert where, f"{operator} of {source} is of version 1, which is not written"
            struct.pack_into("<i", data, where, version)
    path.write_bytes(data)
    return path


def executorch(path: Path, source: Path, operator: str, other: str) -> Path:
    """`source` with another name, of the same length, for an operator that it has."""
    data = source.read_bytes()
    assert data.count(operator.encode() + b"\0") == 1
    assert len(operator) == len(other)
    path.write_bytes(data.replace(operator.encode() + b"\0", other.encode() + b"\0"))
    return path
