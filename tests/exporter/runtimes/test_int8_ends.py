"""Taking the quantisation off the ends of int8 files: done where it is there as asked for, left alone where it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.backends import onnx_ends
from exporter.runtimes.base import Int8End

WAY = Int8End("uint8", float(np.float32(0.05)), 128)


def qdq(tmp_path: Path, *, beside: bool = False, read_again: bool = False, scale: float = 0.05) -> Path:
    """x -> quantised -> relu -> quantised -> y. beside: x is read in float too. read_again: y is."""
    from onnx import TensorProto, helper, numpy_helper, save

    def way(number: int, given: str, made: str) -> list[Any]:
        ends = [f"scale{number}", f"zero{number}"]
        return [
            helper.make_node("QuantizeLinear", [given, *ends], [f"{made}/q"]),
            helper.make_node("DequantizeLinear", [f"{made}/q", *ends], [made]),
        ]

    nodes = [*way(0, "x", "x0"), helper.make_node("Relu", ["x0"], ["r"]), *way(1, "r", "y")]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])]
    for given, wanted in (("x", beside), ("y", read_again)):
        if wanted:
            nodes.append(helper.make_node("Neg", [given], ["more"]))
            outputs.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1, 8]))
    constants = [
        numpy_helper.from_array(array, name)
        for name, array in {
            "scale0": np.array(scale, np.float32), "zero0": np.array(128, np.uint8),
            "scale1": np.array(0.02, np.float32), "zero1": np.array(0, np.uint8),
        }.items()
    ]  # fmt: skip
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])]
    model = helper.make_model(
        helper.make_graph(nodes, "g", inputs, outputs, constants), opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    )
    path = tmp_path / "m.onnx"
    save(model, str(path))
    return path


def run(path: Path, x: Any) -> dict[str, Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, {"x": x}), strict=True))


def test_an_onnx_file_gives_the_same_through_its_own_integers(tmp_path: Path) -> None:
    path = qdq(tmp_path)
    x = np.linspace(-3, 3, 8, dtype=np.float32)[None]
    before = run(path, x)["y"]
    own = onnx_ends.strip(path, {"x": WAY}, {"y"})
    assert own == {"x": WAY, "y": Int8End("uint8", float(np.float32(0.02)), 0)}
    stored = np.clip(np.rint(x / np.float32(0.05)) + 128, 0, 255).astype(np.uint8)
    given = run(path, stored)["y"]
    assert given.dtype == np.uint8
    np.testing.assert_array_equal(given.astype(np.float32) * np.float32(0.02), before)


@pytest.mark.parametrize(
    ("changes", "own"),
    [
        ({"beside": True}, {"y"}),  # in float, x is read as well
        ({"scale": 0.06}, {"y"}),  # x is quantised to other steps than it arrives in
    ],
)
def test_an_onnx_end_that_is_not_all_integers_stays_float(tmp_path: Path, changes: dict[str, Any], own: set[str]) -> None:
    path = qdq(tmp_path, **changes)
    assert set(onnx_ends.strip(path, {"x": WAY}, {"y"})) == own


def test_what_is_read_inside_of_an_onnx_output_stays_float(tmp_path: Path) -> None:
    path = qdq(tmp_path, read_again=True)
    x = np.linspace(-3, 3, 8, dtype=np.float32)[None]
    before = run(path, x)
    assert set(onnx_ends.strip(path, {}, {"y"})) == {"y"}
    after = run(path, x)
    np.testing.assert_array_equal(after["more"], before["more"])
    np.testing.assert_array_equal(after["y"].astype(np.float32) * np.float32(0.02), before["y"])


def test_an_onnx_file_that_keeps_its_ends_is_not_touched(tmp_path: Path) -> None:
    path = qdq(tmp_path, beside=True, read_again=False)
    before = path.read_bytes()
    assert onnx_ends.strip(path, {"x": WAY}, set()) == {}
    assert path.read_bytes() == before


def test_the_quantiser_of_tflite_makes_the_scale_that_is_asked_for() -> None:
    from ai_edge_quantizer import qtyping
    from ai_edge_quantizer.algorithms.uniform_quantize import uniform_quantize_tensor as theirs

    rng = np.random.default_rng(0)
    for _ in range(500):
        end = Int8End("int8", float(np.float32(10.0 ** rng.uniform(-6, 3))), int(rng.integers(-128, 128)))
        low, high = (np.full([1], each, np.float64) for each in end.range)
        zero_point, scale = theirs.tensor_zp_scale_from_min_max(low, high, 8, False, qtyping.QuantGranularity.TENSORWISE)
        assert (np.float32(scale[0]), int(zero_point[0])) == (np.float32(end.scale), end.zero_point)
