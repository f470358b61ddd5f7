"""A quantised .tflite of some size is one flatbuffer, which the TensorFlow Lite of phones reads too."""

from __future__ import annotations

from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer

from exporter.backends import tflite_file

WIDTH = 640


def float_model() -> bytes:
    """One FULLY_CONNECTED of 640 x 640: 400 kB as int8."""
    weights = np.random.default_rng(0).standard_normal((WIDTH, WIDTH)).astype(np.float32)
    model, graph, code, operator = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    operator.inputs, operator.outputs = [0, 1, -1], [2]
    operator.builtinOptionsType, operator.builtinOptions = (
        schema.BuiltinOptions.FullyConnectedOptions, schema.FullyConnectedOptionsT(),
    )  # fmt: skip
    graph.tensors = []
    for name, shape, buffer in (("x", [1, WIDTH], 0), ("weights", [WIDTH, WIDTH], 1), ("y", [1, WIDTH], 0)):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, shape, buffer
        graph.tensors.append(tensor)
    graph.inputs, graph.outputs, graph.operators = [0], [2], [operator]
    full = schema.BufferT()
    full.data = np.frombuffer(weights.tobytes(), np.uint8)
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [schema.BufferT(), full]
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def behind(file: Path) -> int:
    """How many buffers are kept behind the flatbuffer."""
    return sum(1 for buffer in schema.ModelT.InitFromPackedBuf(file.read_bytes(), 0).buffers if buffer.offset > 1)


def outputs(file: Path) -> np.ndarray:
    interpreter = Interpreter(model_path=str(file), num_threads=1)
    interpreter.allocate_tensors()
    example = np.random.default_rng(1).standard_normal((1, WIDTH)).astype(np.float32)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], example)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_weights_are_in_the_flatbuffer(tmp_path: Path) -> None:
    quantiser = quantizer.Quantizer(float_model())
    quantiser.add_dynamic_config(".*", "FULLY_CONNECTED", 8)
    result = quantiser.quantize(None, enable_progress_bar=False, enable_progress_report=False)
    result.export_model(str(tmp_path / "given.tflite"))
    assert behind(tmp_path / "given.tflite") > 0, "the quantiser writes no such files any more: tflite_file is not needed"
    tflite_file.write(result, tmp_path / "ours.tflite")
    assert behind(tmp_path / "ours.tflite") == 0
    np.testing.assert_array_equal(outputs(tmp_path / "ours.tflite"), outputs(tmp_path / "given.tflite"))


def test_a_file_of_gigabytes_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflite_file, "_MOST_BYTES", 1000)
    quantiser = quantizer.Quantizer(float_model())
    quantiser.add_dynamic_config(".*", "FULLY_CONNECTED", 8)
    tflite_file.write(
        quantiser.quantize(None, enable_progress_bar=False, enable_progress_report=False), tmp_path / "large.tflite"
    )
    assert behind(tmp_path / "large.tflite") > 0
