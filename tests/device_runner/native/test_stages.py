"""Several stages in one process: what one gives the next takes, as a chain of models would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.device_runner.native.identity import identity
from tests.device_runner.native.support import (
    RUNTIMES,
    Edgebench,
    Json,
    base_plan,
    expected,
    image_plan,
    limits,
    output,
    read_samples,
    tensor,
)  # fmt: skip

X = np.arange(12, dtype=np.float32).reshape(2, 1, 2, 3) - 5.0
MASK = np.arange(12, dtype=np.float32).reshape(2, 1, 2, 3) * 10
QUANTIZE = {"op": "quantize", "to": "int8", "scale": 2.0, "zero_point": 1}
DEQUANTIZE = {"op": "dequantize", "scale": 2.0, "zero_point": 1}


@pytest.fixture
def chain(tmp_path: Path) -> Json:
    """x → y as int8 → z; the second stage is fed its own file as well, through a model of two inputs."""
    identity(tmp_path / "a.onnx", "float32", [1, 2, 3])
    add(tmp_path / "b.onnx")
    X.tofile(tmp_path / "x.bin")
    MASK.tofile(tmp_path / "mask.bin")
    plan = base_plan(
        "onnx", "a.onnx", [tensor("x", "float32", [1, 2, 3], file="x.bin")],
        [{**tensor("y", "int8", [1, 2, 3], QUANTIZE), "write": False}], cases=2, output_cases=2,
    )  # fmt: skip
    second = {
        "model": "b.onnx",
        "inputs": [
            tensor("mask", "float32", [1, 2, 3], file="mask.bin"),
            {**tensor("x", "int8", [1, 2, 3], DEQUANTIZE), "from": [0, 0]},
        ],
        "outputs": [tensor("y", "float32", [1, 2, 3])],
    }  # fmt: skip
    return {**plan, "then": [second]}


def add(path: Path) -> None:
    from onnx import helper

    from tests.device_runner.native.identity import save, value

    ends = [value("x", "float32", [1, 2, 3]), value("mask", "float32", [1, 2, 3])]
    save(path, [helper.make_node("Add", ["x", "mask"], ["y"])], ends, [value("y", "float32", [1, 2, 3])])


def test_a_chain_gives_what_its_models_give(edgebench: Edgebench, tmp_path: Path, chain: Json) -> None:
    ran = edgebench.run(tmp_path, chain).done()
    crossed = np.clip(np.rint(X / 2) + 1, -128, 127).astype(np.int8)
    np.testing.assert_array_equal(output(ran, 0).reshape(X.shape), (crossed.astype(np.float32) - 1) * 2 + MASK)
    assert [event["name"] for event in ran.events if event["event"] == "output"] == ["y"]
    assert ran["load"]["model_bytes"] == sum((tmp_path / name).stat().st_size for name in ("a.onnx", "b.onnx"))
    assert len(read_samples(tmp_path).steady) == ran["steady"]["count"] >= 10


def test_what_crosses_may_be_kept_too(edgebench: Edgebench, tmp_path: Path, chain: Json) -> None:
    del chain["outputs"][0]["write"]
    ran = edgebench.run(tmp_path, chain).done()
    assert output(ran, 0).dtype == np.int8
    np.testing.assert_array_equal(output(ran, 0).reshape(X.shape), np.rint(X / 2) + 1)
    assert output(ran, 1).dtype == np.float32


def test_a_sample_covers_every_stage(edgebench: Edgebench, tmp_path: Path, chain: Json) -> None:
    """A chain of eight is slower than each of its members is; a sample of the last stage alone would not be."""
    one = {**chain, "then": [], "outputs": [tensor("y", "float32", [1, 2, 3])], "steady": limits(500, 500)}
    link = {
        "model": "a.onnx", "inputs": [{**tensor("x", "float32", [1, 2, 3]), "from": [0, 0]}],
        "outputs": [tensor("y", "float32", [1, 2, 3])],
    }  # fmt: skip
    links = [{**link, "inputs": [{**link["inputs"][0], "from": [stage, 0]}]} for stage in range(7)]
    edgebench.run(tmp_path, one).done()
    alone = np.median(read_samples(tmp_path).steady[:, 1])
    ran = edgebench.run(tmp_path, {**one, "then": links}).done()
    assert np.median(read_samples(tmp_path).steady[:, 1]) > 3 * alone
    for k in range(8):
        np.testing.assert_array_equal(output(ran, k).reshape(X.shape), X)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_each_runtime_holds_two_models(edgebench: Edgebench, models: Path, tmp_path: Path, runtime: str, threads: int) -> None:
    plan = image_plan(tmp_path, models, runtime, threads=threads, load_cold=True)
    again = {key: plan[key] for key in ("model", "inputs", "outputs")}
    ran = edgebench.run(tmp_path, {**plan, "then": [again]}).done()
    (whole,) = expected(models, "image", runtime)
    for k in range(2):
        np.testing.assert_allclose(output(ran, k).reshape(whole.shape), whole, rtol=1e-4, atol=1e-5)


def _set(plan: Json, key: str, value: Any) -> Json:
    plan["then"][0]["inputs"][1][key] = value
    return plan


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: {**plan, "then": None},
        lambda plan: {**plan, "then": {}},
        lambda plan: {**plan, "then": [5]},
        lambda plan: {**plan, "then": plan["then"] * 8},
        lambda plan: {**plan, "then": [{**plan["then"][0], "threads": 1}]},
        lambda plan: {**plan, "then": [{**plan["then"][0], "model": ...}]},
        lambda plan: _set(plan, "from", [1, 0]),
        lambda plan: _set(plan, "from", [0, 1]),
        lambda plan: _set(plan, "from", [-1, 0]),
        lambda plan: _set(plan, "from", [10**30, 0]),
        lambda plan: _set(plan, "from", [0]),
        lambda plan: _set(plan, "from", [0, 0, 0]),
        lambda plan: _set(plan, "from", [0, "0"]),
        lambda plan: _set(plan, "from", 0),
        lambda plan: _set(plan, "from", None),
        lambda plan: _set(plan, "file", "x.bin"),
        lambda plan: _set(plan, "shape", [1, 3, 2]),
        lambda plan: _set(plan, "dtype", "uint8"),
        lambda plan: {**plan, "inputs": [{**tensor("x", "float32", [1, 2, 3]), "from": [0, 0]}]},
        lambda plan: {**plan, "outputs": [{**plan["outputs"][0], "write": 1}]},
    ],
)
def test_a_chain_that_does_not_hold_is_refused(edgebench: Edgebench, tmp_path: Path, chain: Json, change: Any) -> None:
    plan = change(chain)
    plan["then"] = [
        {key: value for key, value in stage.items() if value is not ...} if isinstance(stage, dict) else stage
        for stage in plan["then"]
    ] if isinstance(plan["then"], list) else plan["then"]  # fmt: skip
    edgebench.run(tmp_path, plan).failed("plan_invalid")


def test_nothing_that_is_kept_is_nothing_to_write(edgebench: Edgebench, tmp_path: Path, chain: Json) -> None:
    chain["then"][0]["outputs"] = []
    edgebench.run(tmp_path, chain).failed("plan_invalid")
    edgebench.run(tmp_path, {**chain, "write_outputs": None}).done()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"model": "gone.onnx"}, "model_missing"),
        ({"model": "../b.onnx"}, "path_outside"),
        ({"model": "x.bin"}, "model_invalid"),
        ({"outputs": [tensor("nothing", "float32", [1, 2, 3])]}, "signature_mismatch"),
        ({"inputs": [tensor("mask", "float32", [1, 2, 3], file="gone.bin")]}, "input_missing"),
        ({"inputs": [tensor("mask", "float32", [1, 2, 3], file="mask.bin")]}, "signature_mismatch"),
    ],
)
def test_a_later_stage_fails_as_a_first_one_does(
    edgebench: Edgebench, tmp_path: Path, chain: Json, change: Json, code: str
) -> None:
    edgebench.run(tmp_path, {**chain, "then": [{**chain["then"][0], **change}]}).failed(code)


def test_the_tensors_of_all_stages_share_one_limit(edgebench: Edgebench, tmp_path: Path, chain: Json) -> None:
    elements = 6 * 2**20
    identity(tmp_path / "a.onnx", "float32", [elements])
    np.zeros(elements, np.float32).tofile(tmp_path / "x.bin")
    plan = base_plan(
        "onnx", "a.onnx", [tensor("x", "float32", [elements], file="x.bin")], [tensor("y", "float32", [elements])],
        cases=1, output_cases=1, max_memory_mb=200,
    )  # fmt: skip
    edgebench.run(tmp_path, plan).done()
    link = {"model": "a.onnx", "inputs": [{**tensor("x", "float32", [elements]), "from": [0, 0]}], "outputs": plan["outputs"]}
    edgebench.run(tmp_path, {**plan, "then": [link, link]}).failed("plan_invalid", "memory_limit")
