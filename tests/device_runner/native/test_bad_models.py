"""Model files that are cut, swapped or hostile: an error line, whatever the runtime's own loader makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from tests.device_runner.native.identity import external, gather, identity, save, value
from tests.device_runner.native.support import (
    RUNTIMES,
    SUFFIX,
    Edgebench,
    Json,
    base_plan,
    expected,
    image_plan,
    limits,
    tensor,
    text_plan,
)

#: what a file that a runtime cannot read may end in: refused, or the loader's own death, reported
REFUSED = ("model_invalid", "runtime_error", "signature_mismatch", "unsupported_dtype", "worker_died", "memory_limit")


def quick(plan: Json) -> Json:
    return {**plan, "warmup": limits(0, 0), "steady": limits(0, 0), "write_outputs": None, "max_seconds": 20}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_model_cut_anywhere(edgebench: Edgebench, models: Path, tmp_path: Path, runtime: str) -> None:
    plan = quick(image_plan(tmp_path, models, runtime))
    whole = (tmp_path / plan["model"]).read_bytes()
    cuts = [1, 4, 7, 8, 9, 63, 64, *(round(len(whole) * part / 12) for part in range(1, 12)), len(whole) - 1]
    for cut in cuts:
        (tmp_path / plan["model"]).write_bytes(whole[:cut])
        ran = edgebench.run(tmp_path, plan)
        if ran.code:  # the tail of a file may be padding
            ran.failed(*REFUSED)
    (tmp_path / plan["model"]).write_bytes(b"")
    edgebench.run(tmp_path, plan).failed("model_invalid")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_model_with_damaged_bytes(edgebench: Edgebench, models: Path, tmp_path: Path, runtime: str) -> None:
    plan = quick(image_plan(tmp_path, models, runtime))
    whole = (tmp_path / plan["model"]).read_bytes()
    rng = np.random.default_rng(11)
    for _ in range(12):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), 8):
            damaged[at] ^= 1 << int(rng.integers(0, 8))
        (tmp_path / plan["model"]).write_bytes(damaged)
        ran = edgebench.run(tmp_path, plan)
        if ran.code:
            ran.failed(*REFUSED, "time_limit")
    for content in (b"\0" * 4096, b"\xff" * 4096, rng.bytes(4096)):
        (tmp_path / plan["model"]).write_bytes(content)
        edgebench.run(tmp_path, plan).failed(*REFUSED)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("other", RUNTIMES)
def test_a_model_of_another_runtime(edgebench: Edgebench, models: Path, tmp_path: Path, runtime: str, other: str) -> None:
    plan = quick(image_plan(tmp_path, models, runtime))
    (tmp_path / plan["model"]).write_bytes((models / f"image.{SUFFIX[other]}").read_bytes())
    ran = edgebench.run(tmp_path, plan)
    described = edgebench.call("--describe", tmp_path / plan["model"], "--runtime", runtime)
    if runtime == other:
        ran.done()
        assert described.code == 0
    else:
        ran.failed("model_invalid", "worker_died")
        described.failed("model_invalid", "worker_died")


def add_plan(directory: Path, location: str) -> Json:
    external(directory / "m.onnx", location)
    np.zeros(4, np.float32).tofile(directory / "x.bin")
    inputs, outputs = [tensor("x", "float32", [4], file="x.bin")], [tensor("y", "float32", [4])]
    return base_plan("onnx", "m.onnx", inputs, outputs, cases=1, output_cases=1)


def test_external_data_is_read_beside_the_model(edgebench: Edgebench, tmp_path: Path) -> None:
    np.arange(4, dtype=np.float32).tofile(tmp_path / "w.bin")
    edgebench.run(tmp_path, add_plan(tmp_path, "w.bin")).done()
    np.testing.assert_array_equal(np.fromfile(tmp_path / "outputs/0.bin", np.float32), range(4))


@pytest.mark.parametrize(
    "location", ["../w.bin", "link.bin", "dir/w.bin", "ABSOLUTE", "/etc/hostname", "a/../../w.bin", "nope.bin"]
)
def test_external_data_never_comes_from_elsewhere(edgebench: Edgebench, tmp_path: Path, location: str) -> None:
    inside = tmp_path / "plan"
    inside.mkdir()
    np.arange(4, dtype=np.float32).tofile(tmp_path / "w.bin")
    (inside / "a").mkdir()
    (inside / "link.bin").symlink_to("../w.bin")
    (inside / "dir").symlink_to("..")
    plan = add_plan(inside, str(tmp_path / "w.bin") if location == "ABSOLUTE" else location)
    edgebench.run(inside, plan).failed("model_invalid")


def test_a_type_the_protocol_does_not_have(edgebench: Edgebench, tmp_path: Path) -> None:
    np.zeros(6, np.float32).tofile(tmp_path / "x.bin")
    for dtype in ("float64", "string"):
        identity(tmp_path / "m.onnx", dtype, [2, 3])
        inputs, outputs = [tensor("x", "float32", [2, 3], file="x.bin")], [tensor("y", "float32", [2, 3])]
        plan = base_plan("onnx", "m.onnx", inputs, outputs, cases=1, output_cases=1)
        edgebench.run(tmp_path, plan).failed("unsupported_dtype")
        line = edgebench.call("--describe", tmp_path / "m.onnx", "--runtime", "onnx")["describe"]
        assert line["inputs"] == [{"name": "x", "dtype": "unsupported", "shape": [2, 3]}]


def test_an_open_dimension_nobody_gives(edgebench: Edgebench, tmp_path: Path) -> None:
    nodes = [helper.make_node("NonZero", ["x"], ["where"]), helper.make_node("Identity", ["x"], ["y"])]
    outputs = [value("y", "float32", [4]), value("where", "int64", [1, "n"])]
    save(tmp_path / "m.onnx", nodes, [value("x", "float32", [4])], outputs)
    np.array([0, 1, 2, 0], np.float32).tofile(tmp_path / "x.bin")
    plan = base_plan(
        "onnx", "m.onnx", [tensor("x", "float32", [4], file="x.bin")], [tensor("y", "float32", [4])],
        cases=1, output_cases=1,
    )  # fmt: skip
    edgebench.run(tmp_path, plan).failed("signature_mismatch")
    good = {**plan, "outputs": [tensor("where", "int64", [1, 2]), *plan["outputs"]]}
    edgebench.run(tmp_path, good).done()
    assert np.fromfile(tmp_path / "outputs/0.bin", np.int64).tolist() == [1, 2]
    wrong = {**plan, "outputs": [tensor("where", "int64", [1, 3]), *plan["outputs"]]}
    edgebench.run(tmp_path, wrong).failed("runtime_error")


def test_ids_beyond_a_table_are_the_models_business(edgebench: Edgebench, models: Path, tmp_path: Path) -> None:
    gather(tmp_path / "m.onnx")
    np.array([0, 70], np.int64).tofile(tmp_path / "x.bin")
    plan = base_plan(
        "onnx", "m.onnx", [tensor("ids", "int64", [2], file="x.bin")], [tensor("y", "float32", [2, 2])],
        cases=1, output_cases=1,
    )  # fmt: skip
    edgebench.run(tmp_path, plan).failed("runtime_error")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_ids_beyond_an_embedding(edgebench: Edgebench, models: Path, tmp_path: Path, runtime: str) -> None:
    plan = text_plan(tmp_path, models, runtime)
    np.full((4, 8), 2**31 - 1, np.int64).tofile(tmp_path / "0.bin")
    ran = edgebench.run(tmp_path, plan)
    if ran.code:  # a runtime may read what is there, refuse, or die: all is reported
        ran.failed("runtime_error", "worker_died")


def test_a_failure_in_a_later_case_keeps_the_samples(edgebench: Edgebench, tmp_path: Path) -> None:
    gather(tmp_path / "m.onnx")
    np.array([0, 1, 0, 70], np.int64).tofile(tmp_path / "x.bin")
    plan = base_plan(
        "onnx", "m.onnx", [tensor("ids", "int64", [2], file="x.bin")], [tensor("y", "float32", [2, 2])],
        cases=2, output_cases=2, steady=limits(5, 5),
    )  # fmt: skip
    ran = edgebench.run(tmp_path, plan)
    assert ran.failed("runtime_error")["phase"] == "output"
    assert ran["steady"]["count"] == 5


def test_describe(edgebench: Edgebench, models: Path, tmp_path: Path) -> None:
    def describe(model: Path, runtime: str) -> Json:
        ran = edgebench.call("--describe", model, "--runtime", runtime)
        assert ran.code == 0
        assert ran.names == ["describe"]
        return ran["describe"]

    ids, mask = {"dtype": "int64", "shape": [1, 8]}, {"dtype": "float32", "shape": [1, 8]}
    scores, states = {"dtype": "float32", "shape": [1, 3]}, {"dtype": "float32", "shape": [1, 8, 16]}
    line = describe(models / "text.onnx", "onnx")
    assert line["inputs"] == [{"name": "ids", **ids}, {"name": "mask", **mask}]
    assert line["outputs"] == [{"name": "scores", **scores}, {"name": "states", **states}]
    line = describe(models / "text.tflite", "tflite")
    assert line["inputs"] == [{"name": "args_0", **ids, "dtype": "int32"}, {"name": "args_1", **mask}]
    assert [{key: port[key] for key in ("dtype", "shape")} for port in line["outputs"]] == [scores, states]
    line = describe(models / "text.pte", "executorch")
    assert [{key: port[key] for key in ("dtype", "shape")} for port in line["inputs"]] == [ids, mask]
    identity(tmp_path / "open.onnx", "int8", ["batch", 3, "any"])
    assert describe(tmp_path / "open.onnx", "onnx")["inputs"] == [{"name": "x", "dtype": "int8", "shape": [-1, 3, -1]}]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_describe_refuses_what_is_no_model(edgebench: Edgebench, tmp_path: Path, runtime: str) -> None:
    edgebench.call("--describe", tmp_path / "none", "--runtime", runtime).failed("model_missing")
    edgebench.call("--describe", tmp_path, "--runtime", runtime).failed("model_invalid")
    (tmp_path / "empty").touch()
    edgebench.call("--describe", tmp_path / "empty", "--runtime", runtime).failed("model_invalid")
    edgebench.call("--describe", tmp_path / "empty", "--runtime", "other").failed("plan_invalid")


def test_hello(edgebench: Edgebench) -> None:
    line = edgebench.call("--hello")["hello"]
    assert line["runtimes"] == {"onnx": "1.32.0", "tflite": "2.3.0", "executorch": "1.5.1"}
    assert line["missing"] == {}
    assert edgebench.call("--hello", "--runtime", "tflite")["hello"]["runtimes"] == {"tflite": "2.3.0"}


def test_hello_without_libraries(edgebench: Edgebench, tmp_path: Path) -> None:
    line = edgebench.call("--hello", "--lib-dir", tmp_path)["hello"]
    assert line["runtimes"] == dict.fromkeys(RUNTIMES)
    assert all("cannot open shared object file" in text for text in line["missing"].values())
    edgebench.call("--hello", "--runtime", "onnx", "--lib-dir", tmp_path).failed("library_missing")


def test_expected_outputs_are_not_all_zero(models: Path) -> None:
    for runtime in RUNTIMES:
        assert all(np.abs(array).max() > 0.01 for name in ("image", "text") for array in expected(models, name, runtime))
