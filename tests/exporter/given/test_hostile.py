"""Files made to harm: read outside of themselves, crash their runtime, take all memory or all time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgedeploy.errors import UserError
from exporter.given import probe as probing
from exporter.given.probe import probe
from tests.exporter.cli import run_cli
from tests.exporter.given.files import by_hand, data_of, file_of


def saved(path: Path, nodes: list[Any], constants: list[Any], shape: list[Any] | None = None, **more: Any) -> Path:
    """A model from x float32 [1, 4] (or `shape`) to out."""
    ends = [
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape or [1, 4])],
        [more.pop("output", helper.make_tensor_value_info("out", TensorProto.FLOAT, None))],
    ]
    domains = [helper.make_opsetid("", 17), *more.pop("domains", [])]
    graph = helper.make_graph(nodes, "hostile", *ends, constants)
    onnx.save(helper.make_model(graph, opset_imports=domains, ir_version=9), str(path))
    return path


def outside(path: Path, location: str, *, offset: int = 0, length: int = 16) -> Path:
    """A model whose weights are said to be in another file."""
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1, 4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        weight.external_data.add(key=key, value=value)
    nodes = [helper.make_node("Add", ["x", "w"], ["out"])]
    graph = helper.make_graph(
        nodes, "outside", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 4])], [weight],
    )  # fmt: skip
    # onnx.save would look for the file itself
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString())
    return path


def test_weights_beside_the_model_are_taken_in(tmp_path: Path) -> None:
    (tmp_path / "m.onnx.data").write_bytes(np.arange(4, dtype=np.float32).tobytes())
    found = probe(outside(tmp_path / "m.onnx", "m.onnx.data"))
    inside = onnx.load(str(found.path), load_external_data=False)
    assert numpy_helper.to_array(inside.graph.initializer[0]).tolist() == [[0, 1, 2, 3]]
    assert found.parameters == 4
    assert "taken in" in found.changes[0]


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "secret", "m.onnx.data/../secret", ""])
def test_weights_from_anywhere_else_are_refused(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    for place in (tmp_path, folder):
        (place / "secret").write_bytes(b"s" * 16)
    with pytest.raises(UserError, match="only a file beside it called m"):
        probe(outside(folder / "m.onnx", location))


def test_a_link_beside_the_model_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"s" * 16)
    (tmp_path / "m.onnx.data").symlink_to(tmp_path / "secret")
    with pytest.raises(UserError, match="only a file beside it"):
        probe(outside(tmp_path / "m.onnx", "m.onnx.data"))


@pytest.mark.parametrize(("offset", "length"), [(8, 16), (-4, 8), (1 << 62, 16), (0, 1 << 40)])
def test_weights_beyond_the_end_of_their_file_are_refused(tmp_path: Path, offset: int, length: int) -> None:
    (tmp_path / "m.onnx.data").write_bytes(b"0" * 16)
    with pytest.raises(UserError, match="beyond the end"):
        probe(outside(tmp_path / "m.onnx", "m.onnx.data", offset=offset, length=length))


def test_weights_hidden_in_an_attribute_are_found(tmp_path: Path) -> None:
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1, 4], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="/etc/hostname")
    nodes = [helper.make_node("Constant", [], ["w"], value=weight), helper.make_node("Add", ["x", "w"], ["out"])]
    graph = helper.make_graph(
        nodes, "hidden", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 4])],
    )  # fmt: skip
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString())
    with pytest.raises(UserError, match="/etc/hostname"):
        probe(path)


def test_a_model_that_wants_all_memory_is_stopped(tmp_path: Path) -> None:
    shape = numpy_helper.from_array(np.array([1 << 20, 1 << 16, 4], np.int64), "shape")
    path = saved(tmp_path / "m.onnx", [helper.make_node("Expand", ["x", "shape"], ["out"])], [shape])
    with pytest.raises(UserError, match="cannot be used"):
        probe(path)


def test_a_model_that_never_ends_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["going"]), helper.make_node("Add", ["held", "held"], ["next"])],
        "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("go", TensorProto.BOOL, []),
         helper.make_tensor_value_info("held", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("going", TensorProto.BOOL, []),
         helper.make_tensor_value_info("next", TensorProto.FLOAT, [1, 4])],
    )  # fmt: skip
    constants = [numpy_helper.from_array(np.array(1 << 60, np.int64), "most"), numpy_helper.from_array(np.array(True), "go")]
    path = saved(tmp_path / "m.onnx", [helper.make_node("Loop", ["most", "go", "x"], ["out"], body=body)], constants)
    monkeypatch.setattr(probing, "WALL_SEC", 5)
    with pytest.raises(UserError, match="was not loaded and run once in 5 s"):
        probe(path)


def noise(path: Path) -> Path:
    path.write_bytes(os.urandom(4000))
    return path


def empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def own_operator(path: Path) -> Path:
    node = helper.make_node("Evil", ["x"], ["out"], domain="evil.example")
    return saved(path, [node], [], domains=[helper.make_opsetid("evil.example", 1)])


def sequence(path: Path) -> Path:
    output = helper.make_tensor_sequence_value_info("out", TensorProto.FLOAT, None)
    return saved(path, [helper.make_node("SequenceConstruct", ["x"], ["out"])], [], output=output)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (noise, "no ONNX model"),
        (empty, "cannot be used"),
        (own_operator, "evil.example"),
        (sequence, "other than tensors"),
        (lambda path: by_hand(path, batch=4), "a batch of 4"),
        (lambda path: saved(path, [helper.make_node("Relu", ["x"], ["out"])], [], shape=[1, "length"]), "is open"),
    ],
)
def test_an_onnx_that_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path, make: Callable[[Path], Path], says: str) -> None:
    with pytest.raises(UserError, match=says):
        probe(make(tmp_path / "m.onnx"))


@pytest.mark.parametrize(("runtime", "suffix"), [("tflite", ".tflite"), ("executorch", ".pte")])
def test_damaged_flatbuffers_end_in_a_sentence(tmp_path: Path, runtime: str, suffix: str) -> None:
    whole = file_of(runtime, tmp_path).read_bytes()
    rng = np.random.default_rng(3)
    for number in range(4 if runtime == "tflite" else 1):
        damaged = bytearray(whole)
        for place in rng.integers(8, len(whole), 400):
            damaged[place] = int(rng.integers(0, 256))
        path = tmp_path / f"damaged{number}{suffix}"
        path.write_bytes(bytes(damaged))
        with contextlib.suppress(UserError):  # where only weights were changed it is a model like any other
            probe(path)
    short = tmp_path / f"short{suffix}"
    short.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(UserError, match="cannot be used"):
        probe(short)


def test_a_crash_of_a_runtime_is_a_sentence_and_exit_code_2(tmp_path: Path) -> None:
    whole = bytearray(file_of("tflite", tmp_path).read_bytes())
    whole[8:2000] = os.urandom(1992)
    (tmp_path / "bad.tflite").write_bytes(bytes(whole))
    data = data_of(tmp_path, "args_0", count=8)
    ended = run_cli("export", "--op", "sptq", "--subject", "bad.tflite", "--data", data, cwd=tmp_path)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "bad.tflite cannot be used" in ended.stderr
