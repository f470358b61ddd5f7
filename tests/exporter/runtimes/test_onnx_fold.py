"""A product that no input changes is computed at export: the int8 model does not do what the float one does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from exporter import runtimes
from exporter.backends import onnx_fold
from exporter.runtimes.base import Work
from tests.exporter.runtimes import standins

WIDTH, ROWS, POSITIONS = 32, 4, 16


class Relative(nn.Module):
    """Positions through the same linear as the tokens, as in DeBERTa."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.last = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)
        self.positions = nn.Parameter(torch.randn(1, POSITIONS, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        scores = self.shared(x) @ torch.tanh(self.shared(self.positions)).transpose(1, 2)
        out: Tensor = self.last((scores @ self.positions).mean(1))
        return out


@pytest.fixture(scope="module")
def work() -> Work:
    torch.manual_seed(0)
    values = np.random.default_rng(0).standard_normal((16, ROWS, WIDTH), dtype=np.float32)
    return standins.work(Relative(), {"x": values}, (standins.spec("y", (1, 3)),), family="transformer")


def test_int8_computes_no_more_than_float(work: Work, tmp_path: Path) -> None:
    onnx_runtime = runtimes.get("onnx")
    plain = onnx_runtime.lower(work, tmp_path / "float.onnx")
    int8 = onnx_runtime.lower_int8(work, "linear", "minmax", tmp_path / "int8.onnx")
    tokens = ROWS * WIDTH * WIDTH + 3 * WIDTH
    assert plain.coverage.macs == int8.coverage.macs == tokens + 2 * ROWS * WIDTH * POSITIONS
    assert int8.coverage.int8_share == pytest.approx(tokens / int8.coverage.macs)
    model = onnx_runtime.open(int8.file)
    assert work.calibration is not None
    for index in range(4):
        x = work.calibration.batch(index, index + 1)["x"]
        with torch.no_grad():
            expected = work.model(torch.from_numpy(x)).numpy()
        assert np.abs(model({"x": x})["y"] - expected).max() < 0.1 * np.abs(expected).max()


def graph_of(*nodes: onnx.NodeProto, **constants: np.ndarray) -> onnx.ModelProto:
    """x [2, 4] -> y [2, 4]."""
    graph = helper.make_graph(
        list(nodes), "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 4])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


ONES = np.ones((4, 4), np.float32)


def test_what_only_constants_made_is_gone_and_the_rest_stays(tmp_path: Path) -> None:
    model = graph_of(
        helper.make_node("MatMul", ["a", "b"], ["ab"]),
        helper.make_node("Transpose", ["ab"], ["turned"]),
        helper.make_node("MatMul", ["x", "turned"], ["y"]),
        a=ONES, b=2 * ONES,
    )  # fmt: skip
    assert onnx_fold.fold_products(model, tmp_path) == 2
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["MatMul"]
    assert [(tensor.name, numpy_helper.to_array(tensor).tolist()) for tensor in model.graph.initializer] == [
        ("turned", (8 * ONES).tolist())
    ]


def test_a_constant_with_no_product_behind_it_is_the_runtimes(tmp_path: Path) -> None:
    model = graph_of(
        helper.make_node("Transpose", ["a"], ["turned"]), helper.make_node("MatMul", ["x", "turned"], ["y"]), a=ONES
    )
    before = model.SerializeToString()
    assert onnx_fold.fold_products(model, tmp_path) == 0
    assert model.SerializeToString() == before


def test_results_too_large_for_the_file_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = graph_of(helper.make_node("MatMul", ["a", "a"], ["aa"]), helper.make_node("MatMul", ["x", "aa"], ["y"]), a=ONES)
    monkeypatch.setattr(onnx_fold, "MOST_BYTES", ONES.nbytes - 1)
    assert onnx_fold.fold_products(model, tmp_path) == 0
    assert len(model.graph.node) == 2


def test_one_output_of_two_is_folded_and_the_other_is_still_made(tmp_path: Path) -> None:
    model = graph_of(
        helper.make_node("MatMul", ["a", "b"], ["ab"]),
        helper.make_node("Split", ["ab"], ["k", "v"], axis=1),
        helper.make_node("Transpose", ["k"], ["kt"]),
        helper.make_node("MatMul", ["x", "v"], ["xv"]),
        helper.make_node("MatMul", ["xv", "kt"], ["y"]),
        a=ONES, b=np.concatenate([ONES, 2 * ONES], axis=1)[:, 2:6],
    )  # fmt: skip
    x = np.arange(8, dtype=np.float32).reshape(2, 4)

    def answer() -> np.ndarray:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return np.asarray(session.run(None, {"x": x})[0])

    before = answer()
    assert onnx_fold.fold_products(model, tmp_path) > 0
    onnx.checker.check_model(model)
    np.testing.assert_array_equal(answer(), before)


def test_a_model_with_branches_is_left_as_it_is(tmp_path: Path) -> None:
    def branch(name: str) -> onnx.GraphProto:
        node = helper.make_node("Identity", ["aa"], [name])
        return helper.make_graph([node], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 4])])

    model = graph_of(
        helper.make_node("MatMul", ["a", "a"], ["aa"]),
        helper.make_node("If", ["c"], ["chosen"], then_branch=branch("then"), else_branch=branch("else")),
        helper.make_node("MatMul", ["x", "chosen"], ["y"]),
        a=ONES, c=np.array(True),
    )  # fmt: skip
    assert onnx_fold.fold_products(model, tmp_path) == 0


def test_what_is_random_is_no_constant(tmp_path: Path) -> None:
    model = graph_of(
        helper.make_node("RandomNormal", [], ["r"], shape=[4, 4]),
        helper.make_node("MatMul", ["a", "r"], ["ar"]),
        helper.make_node("MatMul", ["x", "ar"], ["y"]),
        a=ONES,
    )  # fmt: skip
    assert onnx_fold.fold_products(model, tmp_path) == 0
