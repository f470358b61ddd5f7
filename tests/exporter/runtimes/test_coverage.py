"""Multiply-accumulates counted by hand, and what is said of who computes them."""

from __future__ import annotations

from collections import Counter

import pytest

from edgedeploy.artifact import Coverage, HeavyOp
from exporter.backends import counting, tflite_coverage
from exporter.backends.tflite_coverage import Node
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
