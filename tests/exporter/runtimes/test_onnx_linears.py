"""Linears that several layers share, or that have no bias, become int8 under ONNX too, in every int8 precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from exporter import runtimes
from exporter.backends import onnx_rewrites
from exporter.runtimes.base import Lowered, Work
from tests.exporter.runtimes import standins

WIDTH, ROWS = 32, 6


class Shared(nn.Module):
    """One layer that is applied three times, as in ALBERT, and a projection without a bias, as in LeViT."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.first, self.last = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for _ in range(3):
            x = torch.tanh(self.layer(x))
        out: Tensor = self.last(x.mean(1))
        return out


MACS = 4 * ROWS * WIDTH * WIDTH + 3 * WIDTH


@pytest.fixture(scope="module")
def work() -> Work:
    torch.manual_seed(0)
    values = np.random.default_rng(0).standard_normal((16, ROWS, WIDTH), dtype=np.float32)
    return standins.work(Shared(), {"x": values}, (standins.spec("y", (1, 3)),), family="transformer")


def gap(work: Work, lowered: Lowered) -> float:
    """Largest |difference| to torch over the calibration examples, relative to the largest output."""
    model, worst, largest = runtimes.get("onnx").open(lowered.file), 0.0, 0.0
    assert work.calibration is not None
    for index in range(len(work.calibration)):
        x = work.calibration.batch(index, index + 1)["x"]
        with torch.no_grad():
            expected = work.model(torch.from_numpy(x)).numpy()
        worst = max(worst, float(np.abs(model({"x": x})["y"] - expected).max()))
        largest = max(largest, float(np.abs(expected).max()))
    return worst / largest


@pytest.mark.parametrize("precision", ["int8-static", "int8-dynamic", "int8-weights"])
def test_all_linears_are_int8_and_the_answers_stay(work: Work, tmp_path: Path, precision: Any) -> None:
    onnx_runtime = runtimes.get("onnx")
    if precision == "int8-static":
        made = onnx_runtime.lower_int8(work, "linear", "minmax", tmp_path / "m.onnx")
    else:
        made = onnx_runtime.lower_to(work, precision, tmp_path / "m.onnx")
    assert made.coverage.macs == MACS
    if precision == "int8-weights":  # which computes in float
        assert made.scheme["stored"]["int8"] == 2 * WIDTH * WIDTH + 3 * WIDTH
    else:
        assert made.coverage.int8_share == 1
    assert gap(work, made) < 0.1


def test_a_shared_weight_is_in_the_file_once(work: Work, tmp_path: Path) -> None:
    made = runtimes.get("onnx").lower_int8(work, "linear", "minmax", tmp_path / "m.onnx")
    weights = [tensor for tensor in onnx.load(str(made.file)).graph.initializer if list(tensor.dims) == [WIDTH, WIDTH]]
    assert [tensor.data_type for tensor in weights] == [TensorProto.INT8] * 2


def test_only_what_is_constant_and_read_elsewhere_not_is_transposed_away() -> None:
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    nodes = [
        helper.make_node("Transpose", ["w"], ["a"], perm=[1, 0]),
        helper.make_node("Transpose", ["w"], ["b"]),
        helper.make_node("Transpose", ["x"], ["turned"], perm=[1, 0]),
        helper.make_node("Transpose", ["kept"], ["given"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "a"], ["p"]),
        helper.make_node("MatMul", ["x", "b"], ["q"]),
        helper.make_node("MatMul", ["turned", "q"], ["r"]),
    ]
    shapes = {"p": [2, 2], "r": [3, 2], "given": [3, 2]}
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])]
    constants = [numpy_helper.from_array(weight, name) for name in ("w", "kept")]
    model = helper.make_model(helper.make_graph(nodes, "shared", inputs, outputs, constants))
    assert onnx_rewrites.transpose_constants(model) == 2
    assert [node.op_type for node in model.graph.node].count("Transpose") == 2
    assert {tensor.name for tensor in model.graph.initializer} == {"a", "kept"}
    assert [list(node.input) for node in model.graph.node if node.output[0] in "pq"] == [["x", "a"], ["x", "a"]]
    onnx.checker.check_model(model, full_check=True)
