"""What a model file is read to ask for, by our own readers, held against what its maker's library says."""

from __future__ import annotations

import random
import struct
import time
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from device_runner import needs
from device_runner.needs import executorch_program, flatbuffer, onnx_file, protobuf, tflite_file
from device_runner.needs.malformed import Malformed
from device_runner.offers import probe_models
from tests.fuzz import mutate

SUFFIXES = {"onnx": "onnx", "tflite": "tflite", "executorch": "pte"}


def branching() -> onnx.ModelProto:
    """An operator of another domain in a branch of an If, and a function that the model brings along."""

    def ends(*names: str) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in names]

    inner = helper.make_graph([helper.make_node("Gelu", ["x"], ["t"], domain="com.microsoft")], "then", [], ends("t"))
    other = helper.make_graph([helper.make_node("Twice", ["x"], ["e"], domain="mine")], "else", [], ends("e"))
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=other)
    graph = helper.make_graph([node], "graph", [condition, *ends("x")], ends("y"))
    twice = helper.make_function(
        "mine", "Twice", ["a"], ["b"],
        [helper.make_node("Add", ["a", "a"], ["b"]), helper.make_node("Trilu", ["a"], ["z"], domain="com.microsoft")],
        [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)],
    )  # fmt: skip
    sets = [helper.make_opsetid(*each) for each in (("", 20), ("com.microsoft", 1), ("mine", 3), ("unused", 7))]
    model = helper.make_model(graph, opset_imports=sets, functions=[twice])
    model.ir_version = 10
    return model


def test_onnx_looks_into_branches_and_functions() -> None:
    assert onnx_file.read(branching().SerializeToString()) == {
        "IR version": {"": 10},
        # the set of a domain whose operators the model defines, or does not use, is not asked of the runtime
        "opset": {"ai.onnx": 20, "com.microsoft": 1},
        "operator of com.microsoft": {"Gelu": 1, "Trilu": 1},
    }


def test_tflite_is_what_its_schema_says(models: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    assert dict(enumerate(tflite_file.operators())) == names
    for model in models.glob("*.tflite"):
        codes = schema.ModelT.InitFromPackedBuf(model.read_bytes(), 0).operatorCodes
        assert needs.of(model, "tflite") == {"operator": {names[code.builtinCode]: code.version for code in codes}}


def test_tflite_codes_that_are_large_and_custom() -> None:
    code = tflite_file.operators().index("REDUCE_WINDOW")
    assert code > 127
    assert tflite_file.read(probe_models.tflite(code, 1)) == {"operator": {"REDUCE_WINDOW": 1}}
    assert tflite_file.read(probe_models.tflite(5000, 2)) == {"operator": {"number 5000": 2}}
    assert tflite_file.read(probe_models.tflite(32, 1)) == {"custom operator": {"": 1}}


def test_tflite_weights_behind_the_flatbuffer() -> None:
    assert tflite_file.read(probe_models.tflite_sum_behind(1.0)) == {
        "operator": {"ADD": 1}, "layout": {"weights behind the flatbuffer": 1},
    }  # fmt: skip


def test_executorch_names_kernels_and_backends(models: Path) -> None:
    assert needs.of(models / "text.pte", "executorch") == {
        "kernel": dict.fromkeys(
            ("dim_order_ops::_to_dim_order_copy.out", "aten::embedding.out", "aten::sum.IntList_out"), 1
        ),
        "backend": {"XnnpackBackend": 1},
    }  # fmt: skip


def deep(levels: int) -> bytes:
    """Graphs in attributes of graphs."""
    graph = b""
    for _ in range(levels):
        node = protobuf_field(4, b"If") + protobuf_field(5, protobuf_field(6, graph))
        graph = protobuf_field(1, node)
    return protobuf_field(7, graph)


def protobuf_field(number: int, content: bytes) -> bytes:
    return probe_models._field(number, content)


TFLITE = probe_models.tflite(3, 1)


@pytest.mark.parametrize(
    ("data", "runtime"),
    [
        (deep(200), "onnx"),
        (protobuf_field(7, protobuf_field(1, protobuf_field(4, b"x" * 5000))), "onnx"),  # a name
        (b"\x3a\xff\xff\xff\xff\x7f", "onnx"),  # a graph that leads out of the file
        (b"\x08" + b"\xff" * 20, "onnx"),  # a number without an end
        (b"\x0b\x0c", "onnx"),  # a group
        (b"\x3d\x00", "onnx"),  # half of a number of four bytes
        (TFLITE[:40], "tflite"),
        (b"\xff\xff\xff\x7f" + TFLITE[4:], "tflite"),
        (TFLITE[:4] + b"ET12" + TFLITE[8:], "tflite"),
        (struct.pack("<I4sHHHHii", 16, b"TFL3", 8, 8, 0, 4, 8, 4) + b"\xff\xff\xff\xff", "tflite"),  # a list of 2^32 - 1
        (b"\x08\x00\x00\x00ET12", "executorch"),
        (b"", "executorch"),
    ],
)
def test_what_is_no_model_is_said_to_be_none(tmp_path: Path, data: bytes, runtime: str) -> None:
    file = tmp_path / "model"
    file.write_bytes(data)
    with pytest.raises(Malformed):
        needs.of(file, runtime)


def test_a_file_of_a_great_many_fields_is_left_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf.Budget, "__init__", lambda self: setattr(self, "left", 1000))
    with pytest.raises(Malformed, match="fields"):
        onnx_file.read(b"\x08\x01" * 1001)


@pytest.mark.parametrize(("runtime", "suffix"), SUFFIXES.items())
def test_damage_ends_in_an_answer_or_in_malformed(models: Path, runtime: str, suffix: str) -> None:
    rng = random.Random(f"needs-{runtime}")
    read = {"onnx": onnx_file.read, "tflite": tflite_file.read, "executorch": executorch_program.read}[runtime]
    sources = [path.read_bytes() for path in sorted(models.glob(f"*.{suffix}"))]
    ended = {"read": 0, "malformed": 0}
    slowest = 0.0
    for _ in range(1500):
        data = mutate.blob(rng.choice(sources), rng)
        began = time.process_time()
        try:
            found = read(data)
        except Malformed:
            ended["malformed"] += 1
        else:
            ended["read"] += 1
            assert all(isinstance(version, int) for names in found.values() for version in names.values())
        slowest = max(slowest, time.process_time() - began)
    assert min(ended.values()) > 20, ended
    assert slowest < 5, "a damaged file of some kB keeps nobody busy"


def test_a_list_that_points_to_itself_ends() -> None:
    """Tables may overlap and point backwards into each other; they are gone through once for each entry."""
    data = bytearray(TFLITE)
    for at in range(8, len(data) - 4, 4):
        struct.pack_into("<i", data, at, 0)
        try:
            list(flatbuffer.root(bytes(data), (b"TFL3",)).tables(1))
        except Malformed:
            continue
