"""A given .onnx in two stages: the same numbers as the whole, and no cut where none is valid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgedeploy.errors import UserError
from edgedeploy.signature import Signature
from exporter import runtimes
from exporter.given.file import GivenFile
from exporter.given.onnx_cut import divide_file
from exporter.given.probe import probe
from exporter.partition.division import CutRequest, Division
from tests.exporter.given.files import by_hand


def divided(file: GivenFile, where: str = "auto") -> Division:
    signature = Signature(task="other", inputs=file.inputs, outputs=file.outputs, metric="none")
    return divide_file(file, signature, CutRequest(where), quantised=False)


def run(file: GivenFile, feeds: dict[str, Any]) -> dict[str, Any]:
    """By the signature's names."""
    model = runtimes.get(file.runtime).open(file.path)
    own = {name: feeds[spec.name] for name, spec in zip(file.own_inputs, file.inputs, strict=True)}
    given = model(own)
    return {spec.name: given[name] for name, spec in zip(file.own_outputs, file.outputs, strict=True)}


def composed(division: Division, feeds: dict[str, Any]) -> dict[str, Any]:
    tensors = dict(feeds)
    for piece in division.pieces:
        tensors |= run(piece.model.given_file, tensors)  # type: ignore[arg-type]
    return tensors


@pytest.mark.parametrize("where", ["auto", "0.3", "0.8", "relu1", "r2", "flatten"])
def test_the_stages_composed_are_the_whole(tmp_path: Path, where: str) -> None:
    whole = probe(by_hand(tmp_path / "mine.onnx"))
    division = divided(whole, where)
    feeds = {"data_0": np.random.default_rng(0).standard_normal((1, 3, 16, 16)).astype(np.float32)}
    expected, found = run(whole, feeds), composed(division, feeds)
    np.testing.assert_allclose(found["scores_out"], expected["scores_out"], rtol=1e-5, atol=1e-5)
    assert 0 < division.position.macs_before < whole.macs


def test_a_cut_never_tears_what_is_fused(tmp_path: Path) -> None:
    whole = probe(by_hand(tmp_path / "mine.onnx"))
    for name in ("conv1", "norm1", "conv3"):
        with pytest.raises(UserError, match="no valid cut is there"):
            divided(whole, name)
    with pytest.raises(UserError, match="no node or tensor of that name; it can be cut after relu1"):
        divided(whole, "nowhere")


def residual(path: Path) -> Path:
    """Two products with a residual around each, a bias after each, a shape computed of constants, and a second input."""
    rng = np.random.default_rng(1)
    constants = [
        numpy_helper.from_array(rng.standard_normal((8, 8)).astype(np.float32), "w1"),
        numpy_helper.from_array(rng.standard_normal((8, 8)).astype(np.float32), "w2"),
        numpy_helper.from_array(rng.standard_normal(8).astype(np.float32), "bias"),
        numpy_helper.from_array(np.array([2, 4], np.int64), "half"),
        numpy_helper.from_array(np.array([1], np.int64), "one"),
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["m1"], "product1"),
        helper.make_node("Add", ["m1", "bias"], ["a1"], "bias1"),
        helper.make_node("Add", ["a1", "x"], ["s1"], "sum1"),
        helper.make_node("MatMul", ["s1", "w2"], ["m2"], "product2"),
        helper.make_node("Add", ["m2", "s1"], ["s2"], "sum2"),
        helper.make_node("Add", ["s2", "y"], ["s3"], "sum3"),
        helper.make_node("Concat", ["one", "half"], ["shape"], "shape", axis=0),
        helper.make_node("Reshape", ["s3", "shape"], ["out"], "reshape"),
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8]) for name in ("x", "y")]
    outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 2, 4])]
    graph = helper.make_graph(nodes, "residual", inputs, outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return path


def test_residuals_cross_as_tensors_and_inputs_of_the_second_stage_need_not_pass_the_first(tmp_path: Path) -> None:
    whole = probe(residual(tmp_path / "mine.onnx"))
    rng = np.random.default_rng(2)
    feeds = {name: rng.standard_normal((1, 8)).astype(np.float32) for name in ("x", "y")}
    division = divided(whole, "bias1")
    assert [spec.name for spec in division.position.crossing] == ["x", "y", "a1"]
    assert [spec.name for spec in division.pieces[0].inputs] == ["x"]
    assert [spec.name for spec in division.pieces[0].outputs] == ["a1"]
    np.testing.assert_allclose(composed(division, feeds)["out"], run(whole, feeds)["out"], rtol=1e-6)
    assert division.position.macs_before == 64
    with pytest.raises(UserError, match="no valid cut is there"):
        divided(whole, "product1")


def test_a_graph_inside_an_operator_is_not_taken_apart(tmp_path: Path) -> None:
    branches = [
        helper.make_graph(
            [helper.make_node(kind, ["x"], [f"{kind}_out"])], kind, [],
            [helper.make_tensor_value_info(f"{kind}_out", TensorProto.FLOAT, [1, 4])],
        )
        for kind in ("Relu", "Neg")
    ]  # fmt: skip
    weight = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    condition = numpy_helper.from_array(np.array(True), "always")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], "first"),
        helper.make_node("If", ["always"], ["b"], "choice", then_branch=branches[0], else_branch=branches[1]),
        helper.make_node("MatMul", ["b", "w"], ["c"], "second"),
        helper.make_node("Add", ["a", "c"], ["out"], "sum"),
    ]
    ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4])] for name in ("x", "out")]
    graph = helper.make_graph(nodes, "inner", *ends, [weight, condition])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(tmp_path / "m.onnx"))
    with pytest.raises(UserError, match="its If has a graph inside"):
        divided(probe(tmp_path / "m.onnx"))
