"""Multiply-accumulates counted by hand, and what is said of who computes them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edgedeploy.artifact import Coverage, HeavyOp
from edgedeploy.signature import Signature, TensorSpec
from exporter import runtimes
from exporter.backends import counting, onnx_coverage, tflite_coverage
from exporter.backends.tflite_coverage import Node
from exporter.runtimes.base import Work
from tests.exporter.runtimes import standins
from tests.exporter.runtimes.conftest import RUNTIMES, Lower


def by_kind(coverage: Coverage) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for op in coverage.heavy:
        counted[op.kind] += op.macs
    return dict(counted)


@pytest.mark.parametrize("method", [None, "minmax"])
@pytest.mark.parametrize(("model", "expected"), [("cnn", standins.CNN_MACS), ("bert", standins.BERT_MACS)])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_macs_are_exact(runtime: str, model: str, expected: dict[str, int], method: None, lower: Lower) -> None:
    coverage = lower(runtime, model, method).coverage
    assert by_kind(coverage) == expected
    assert coverage.macs == sum(expected.values())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_shares(runtime: str, lower: Lower) -> None:
    assert lower(runtime, "cnn", None).coverage.int8_share == 0
    assert lower(runtime, "cnn", "minmax").coverage.int8_share == 1
    linear, product = standins.BERT_MACS["linear"], standins.BERT_MACS["matrix product"]
    coverage = lower(runtime, "bert", "minmax").coverage
    assert coverage.int8_share == pytest.approx(linear / (linear + product))
    assert {op.compute for op in coverage.heavy if op.kind == "linear"} == {"int8"}
    assert {op.compute for op in coverage.heavy if op.kind == "matrix product"} == {"fp32"}
    assert coverage.fast_share == 1
    assert coverage.method


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_transposed_convolution_counts_on_every_runtime(runtime: str, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(8, 4, 2, stride=2)).eval()
    signature = Signature(
        task="other", inputs=(TensorSpec(name="image", dtype="float32", shape=(1, 3, 8, 8)),),
        outputs=(TensorSpec(name="larger", dtype="float32", shape=(1, 4, 16, 16)),), metric="none",
    )  # fmt: skip
    made = runtimes.get(runtime)
    lowered = made.lower(Work(model, signature, "convolutional", "x86_64-vnni"), tmp_path / f"model{made.suffix}")
    assert lowered.coverage.macs == 8 * 8 * 8 * 27 + 8 * 8 * 8 * 4 * 4


def test_what_onnx_runtime_computes_uncounted_is_listed(tmp_path: Path) -> None:
    weights = [numpy_helper.from_array(np.zeros((1, 16, 4), np.float32), name) for name in ("w", "r")]
    node = helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=4)
    ends = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 4])]
    graph = helper.make_graph([node], "g", ends, [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 1, 4])], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "model.onnx")
    coverage = onnx_coverage.of(tmp_path / "model.onnx")
    assert coverage.off_backend == {"LSTM": 1}


def test_what_xnnpack_left_is_listed(lower: Lower) -> None:
    assert lower("tflite", "bert", "minmax").coverage.off_backend == {"CAST": 1, "EMBEDDING_LOOKUP": 1, "RESHAPE": 1}
    left = lower("executorch", "bert", "minmax").coverage.off_backend
    assert left["native_layer_norm"] == 2 * standins.LAYERS
    assert "expand_copy" not in left
    assert "unsqueeze_copy" not in left


def test_delegated_nodes_are_those_between_a_delegates_ends() -> None:
    # 0 -> a -> 1 -> b -> 2 -> c -> 3, and b also reads the constant 9
    nodes = [Node("a", (0,), (1,)), Node("b", (1, 9), (2,)), Node("c", (2,), (3,))]
    assert tflite_coverage.delegated(nodes, [Node("DELEGATE", (1, 9), (2,))]) == {1}
    assert tflite_coverage.delegated(nodes, [Node("DELEGATE", (0, 9), (3,))]) == {0, 1, 2}
    assert tflite_coverage.delegated(nodes, []) == set()


def test_shares_are_of_macs_and_an_empty_graph_has_no_int8() -> None:
    heavy = [
        HeavyOp(name="a", kind="linear", macs=30, compute="int8", fast=True),
        HeavyOp(name="b", kind="linear", macs=10, compute="fp32", fast=False),
    ]
    coverage = counting.coverage("m", heavy, partitions=2, off_backend={"z": 1, "a": 2})
    assert (coverage.macs, coverage.fast_share, coverage.int8_share) == (40, 0.75, 0.75)
    assert list(coverage.off_backend) == ["a", "z"]
    empty = counting.coverage("m", [])
    assert (empty.macs, empty.fast_share, empty.int8_share) == (0, 1.0, 0.0)
