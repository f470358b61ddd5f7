"""What is inside an int8 file: per-channel weights, embedding rows, no float operator that was meant to be int8."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from exporter.backends import onnx_quantise
from exporter.backends.rows import int8_rows
from exporter.runtimes.base import Runtime
from tests.exporter.runtimes import standins
from tests.exporter.runtimes.conftest import RUNTIMES, Lower, said_by


def onnx_graph(file: Path) -> Any:
    import onnx

    return onnx.load(str(file)).graph


def onnx_constants(file: Path) -> dict[str, npt.NDArray[Any]]:
    from onnx import numpy_helper

    return {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx_graph(file).initializer}


def tflite_tensors(file: Path) -> list[tuple[str, tuple[int, ...], int]]:
    """(dtype, shape, number of scales) of every tensor of a .tflite."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_path=str(file), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    return [
        (np.dtype(found["dtype"]).name, tuple(found["shape"]), len(found["quantization_parameters"]["scales"]))
        for found in interpreter.get_tensor_details()
    ]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_embedding_table_is_int8(runtime: str, lower: Lower) -> None:
    float_file, int8_file = (lower(runtime, "bert", method).file for method in (None, "minmax"))  # type: ignore[arg-type]
    saved = float_file.stat().st_size - int8_file.stat().st_size
    assert saved > 0.7 * standins.TABLE_BYTES
    assert int8_file.stat().st_size < 0.4 * float_file.stat().st_size


def test_tflite_embedding_has_a_scale_per_row_and_is_never_dequantised_whole(lower: Lower) -> None:
    tensors = tflite_tensors(lower("tflite", "bert", "minmax").file)
    table = (standins.VOCABULARY, standins.HIDDEN)
    assert [found for found in tensors if found[1] == table] == [("int8", table, standins.VOCABULARY)]


def test_onnx_embedding_has_a_scale_per_row(lower: Lower) -> None:
    constants = onnx_constants(lower("onnx", "bert", "minmax").file)
    tables = [array for array in constants.values() if array.shape == (standins.VOCABULARY, standins.HIDDEN)]
    assert [array.dtype for array in tables] == [np.int8]
    assert any(array.shape == (standins.VOCABULARY, 1) and array.dtype == np.float32 for array in constants.values())


def test_onnx_weights_are_per_channel_and_types_fit_the_target(lower: Lower) -> None:
    for model, channels in (("cnn", {8, 16, standins.CLASSES}), ("bert", {standins.HIDDEN, standins.WIDE, standins.CLASSES})):
        file = lower("onnx", model, "minmax").file
        constants = onnx_constants(file)
        weights = [
            constants[node.input[1]]
            for node in onnx_graph(file).node
            if node.op_type == "DequantizeLinear" and constants.get(node.input[0], np.zeros(0)).dtype == np.int8
        ]
        assert {scales.size for scales in weights} == channels
        zero_points = [constants[node.input[2]] for node in onnx_graph(file).node if node.op_type == "QuantizeLinear"]
        assert {array.dtype for array in zero_points} == {np.dtype(np.uint8)}


@pytest.mark.parametrize(("target", "activation", "largest"), [("x86_64", np.uint8, 64), ("aarch64", np.int8, 127)])
def test_onnx_scheme_follows_the_target(
    target: str, activation: type, largest: int, by_name: dict[str, Runtime], tmp_path: Path
) -> None:
    work = standins.cnn(examples=8, target=target)
    lowered = by_name["onnx"].lower_int8(work, "full", "minmax", tmp_path / "m.onnx")
    constants = onnx_constants(lowered.file)
    weights = [array for array in constants.values() if array.dtype == np.int8 and array.ndim > 1]
    assert max(np.abs(array.astype(int)).max() for array in weights) == largest
    zero_points = [constants[node.input[2]] for node in onnx_graph(lowered.file).node if node.op_type == "QuantizeLinear"]
    assert {array.dtype for array in zero_points} == {np.dtype(activation)}
    assert ("7 bits" in lowered.scheme["weights"]) == (target == "x86_64")
    np.testing.assert_allclose(said_by(by_name["onnx"], lowered, work), standins.said_by_torch(work), atol=0.3)


def test_tflite_cnn_is_int8_throughout(lower: Lower) -> None:
    from exporter.backends import tflite_coverage

    nodes, tensors = tflite_coverage.read(lower("tflite", "cnn", "minmax").file)
    kinds = Counter(node.kind for node in nodes)
    assert kinds["QUANTIZE"] == kinds["DEQUANTIZE"] == 1
    floats = [node.kind for node in nodes if tensors[node.outputs[0]].type == "FLOAT32"]
    assert floats == ["DEQUANTIZE"]
    scales = {
        shape[0]: count
        for dtype, shape, count in tflite_tensors(lower("tflite", "cnn", "minmax").file)
        if dtype == "int8" and len(shape) == 4 and shape[1:] == (1, 1, 8)
    }
    assert scales == {8: 8, 16: 16}


def test_executorch_cnn_is_one_int8_delegate(lower: Lower) -> None:
    coverage = lower("executorch", "cnn", "minmax").coverage
    assert (coverage.partitions, coverage.off_backend) == (1, {})
    assert coverage.int8_share == 1


def test_executorch_pads_in_int8_and_converts_at_the_ends_alone(lower: Lower) -> None:
    from executorch.exir._serialize._program import deserialize_pte_binary

    from exporter.backends import executorch_payload

    program = deserialize_pte_binary(lower("executorch", "cnn", "minmax").file.read_bytes()).program
    (delegate,) = program.execution_plan[0].delegates
    graph = executorch_payload.graph(bytes(program.backend_delegate_data[delegate.processed.index].data))
    kinds = Counter(node["xnode_union_type"] for node in graph["xnodes"])
    assert kinds["XNNStaticConstantPad"] == 1
    # the image to int8 and the logits to float: a pad in float would be a conversion more on either side of it
    assert kinds["XNNConvert"] == 2


def test_executorch_weights_are_per_channel(works: dict[str, Any]) -> None:
    import torch

    from exporter.backends.executorch_xnnpack import ExecutorchXnnpack
    from exporter.runtimes.lowering import torch_example

    work = replace(works["bert"], calibration=works["bert"].calibration.take([0, 1]))
    exported = torch.export.export(work.model, torch_example(work)).module(check_guards=False)
    backend = ExecutorchXnnpack()
    quantised, _, _ = backend.quantise(backend.calibrate(exported, work, "linear"), work, "linear", "minmax")
    called = Counter(str(node.target) for node in quantised.graph.nodes)
    linears = 6 * standins.LAYERS + 1
    assert called["quantized_decomposed.dequantize_per_channel.default"] == linears
    assert called["quantized_decomposed.embedding_byte.dtype"] == 1
    assert called["aten.embedding.default"] == 0


def test_rows_keep_their_own_scale() -> None:
    rows, scales = int8_rows(np.array([[1.27, -0.5], [0.0, 0.0], [127.0, -254.0]], np.float32))
    assert rows.tolist() == [[127, -50], [0, 0], [64, -127]]
    np.testing.assert_allclose(scales, [[0.01], [1.0], [2.0]], rtol=1e-6)


def test_types_are_said_for_each_target() -> None:
    assert onnx_quantise.types_for("x86_64-vnni") == onnx_quantise.Types("uint8", reduce_range=False)
    assert onnx_quantise.types_for("x86_64") == onnx_quantise.Types("uint8", reduce_range=True)
    assert onnx_quantise.types_for("aarch64") == onnx_quantise.Types("int8", reduce_range=False)
