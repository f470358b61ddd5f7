"""Every adapter, against its twin in numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import TypeAdapter

from edgedeploy import adapters as twin
from edgedeploy.artifact import Adapter
from tests.device_runner.native.identity import identity
from tests.device_runner.native.support import Edgebench, Json, Ran, base_plan, limits, tensor

Array = npt.NDArray[Any]
DTYPES = ("float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bool")


def through(
    edgebench: Edgebench, directory: Path, source: Array, into: list[Json], middle: Array, out_of: list[Json], final: Array
) -> Ran:
    """`source` through the input adapters, an identity of `middle`'s type and shape, and the output adapters."""
    identity(directory / "m.onnx", str(middle.dtype), middle.shape)
    source.tofile(directory / "x.bin")
    plan = base_plan(
        "onnx", "m.onnx",
        [tensor("x", str(source.dtype), source.shape, *into, file="x.bin")],
        [tensor("y", str(final.dtype), final.shape, *out_of)],
        cases=1, output_cases=1, steady=limits(0, 0), warmup=limits(0, 0),
    )  # fmt: skip
    return edgebench.run(directory, plan)


def in_numpy(array: Array, steps: list[Json]) -> Array:
    return twin.apply(array, TypeAdapter(list[Adapter]).validate_python(steps))


def check(edgebench: Edgebench, directory: Path, source: Array, into: list[Json], out_of: list[Json]) -> Array:
    middle = in_numpy(source, into)
    final = in_numpy(middle, out_of)
    ran = through(edgebench, directory, source, into, middle, out_of, final).done()
    got = np.fromfile(directory / ran["output"]["file"], final.dtype).reshape(final.shape)
    np.testing.assert_array_equal(got, final)
    return got


@pytest.mark.parametrize("to", DTYPES)
@pytest.mark.parametrize("source", DTYPES)
def test_cast_between_all_types(edgebench: Edgebench, tmp_path: Path, source: str, to: str) -> None:
    array = np.array([[0, 1, 2, 100, 127]]).astype(source)
    middle = array.astype(to)
    ran = through(edgebench, tmp_path, array, [{"op": "cast", "to": to}], middle, [{"op": "cast", "to": source}], array)
    got = np.fromfile(tmp_path / ran.done()["output"]["file"], source)
    np.testing.assert_array_equal(got.reshape(array.shape), middle.astype(source))


@pytest.mark.parametrize(
    ("source", "values", "to"),
    [
        ("int64", [2**31], "int32"),
        ("int64", [-(2**31) - 1], "int32"),
        ("int32", [128], "int8"),
        ("int32", [-1], "uint8"),
        ("int8", [-1], "uint8"),
        ("uint8", [128], "int8"),
        ("int32", [40000], "int16"),
        ("float32", [np.nan], "int32"),
        ("float32", [np.inf], "int64"),
        ("float32", [2.0**63], "int64"),
        ("float32", [256.0], "uint8"),
        ("float32", [1e6], "float16"),
    ],
)
def test_a_value_that_does_not_fit_is_an_error(
    edgebench: Edgebench, tmp_path: Path, source: str, values: list[float], to: str
) -> None:
    array = np.array(values, source)
    ran = through(edgebench, tmp_path, array, [{"op": "cast", "to": to}], np.zeros(1, to), [], np.zeros(1, to))
    assert "does not fit" in ran.failed("plan_invalid")["message"]


@pytest.mark.parametrize(
    ("source", "values", "to"),
    [
        ("int64", [2**31 - 1, -(2**31)], "int32"),
        ("float32", [255.9, -0.9], "uint8"),
        ("float32", [-(2.0**63), 2.0**62], "int64"),
        ("float32", [np.inf, -np.inf, np.nan, 65504.0, 65519.0, 1e-8, 6e-8, 5.96e-8, 6.1e-5, 0.1, -0.0], "float16"),
        ("int64", [2**53 + 1, -7], "float32"),
        ("float32", [0.5, -0.0, np.nan], "bool"),
    ],
)
def test_a_value_at_the_edge_fits(edgebench: Edgebench, tmp_path: Path, source: str, values: list[float], to: str) -> None:
    array = np.array(values, source)
    wanted = array.astype(to)
    ran = through(edgebench, tmp_path, array, [{"op": "cast", "to": to}], wanted, [], wanted).done()
    np.testing.assert_array_equal(np.fromfile(tmp_path / ran["output"]["file"], to), wanted)


def test_every_half_comes_back(edgebench: Edgebench, tmp_path: Path) -> None:
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = halves[~np.isnan(halves)]
    floats = halves.astype(np.float32)
    down = [{"op": "cast", "to": "float16"}]
    ran = through(edgebench, tmp_path, halves, [{"op": "cast", "to": "float32"}], floats, down, halves).done()
    got = np.fromfile(tmp_path / ran["output"]["file"], np.uint16)
    np.testing.assert_array_equal(got, halves.view(np.uint16))


def test_floats_round_to_the_nearest_half(edgebench: Edgebench, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    floats = (rng.standard_normal(20000) * 10.0 ** rng.uniform(-9, 4, 20000)).astype(np.float32)
    floats = floats[np.abs(floats) < 65000]
    check(edgebench, tmp_path, floats, [{"op": "cast", "to": "float16"}], [])


@pytest.mark.parametrize(
    ("to", "zero"), [("int8", 0), ("int8", -128), ("int8", 127), ("uint8", 0), ("uint8", 128), ("uint8", 255)]
)
def test_quantize_and_dequantize(edgebench: Edgebench, tmp_path: Path, to: str, zero: int) -> None:
    rng = np.random.default_rng(1)
    # halves, which round to even, the edges of the range, what is far beyond it, and ordinary numbers
    array = np.concatenate(
        [np.arange(-600, 600) * 0.25, [1e30, -1e30, np.inf, -np.inf, 0.0, -0.0], rng.standard_normal(500) * 40]
    ).astype(np.float32)
    for scale in (0.5, 1 / 3, 0.0213):
        quantize = [{"op": "quantize", "to": to, "scale": scale, "zero_point": zero}]
        check(edgebench, tmp_path, array, quantize, [{"op": "dequantize", "scale": scale, "zero_point": zero}])


def test_halves_round_to_even(edgebench: Edgebench, tmp_path: Path) -> None:
    array = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 127.5, -128.5, 300, -300], np.float32)
    got = check(edgebench, tmp_path, array, [{"op": "quantize", "to": "int8", "scale": 1.0, "zero_point": 0}], [])
    assert got.tolist() == [0, 2, 2, 0, -2, 127, -128, 127, -128]


@pytest.mark.parametrize("perm", [[0, 1, 2, 3], [0, 2, 3, 1], [3, 1, 0, 2], [3, 2, 1, 0]])
@pytest.mark.parametrize("dtype", ["float32", "int8", "int64"])
def test_transpose(edgebench: Edgebench, tmp_path: Path, perm: list[int], dtype: str) -> None:
    array = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5).astype(dtype)
    back = np.argsort(perm).tolist()
    got = check(edgebench, tmp_path, array, [{"op": "transpose", "perm": perm}], [{"op": "transpose", "perm": back}])
    np.testing.assert_array_equal(got, array)
    check(edgebench, tmp_path, array, [], [{"op": "transpose", "perm": perm}])


def test_reshape(edgebench: Edgebench, tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    check(edgebench, tmp_path, array, [{"op": "reshape", "shape": [4, 6]}], [{"op": "reshape", "shape": [24]}])
    one, scalar = array[:1, :1, 1].copy(), np.array(1, np.float32)
    to_scalar, back = [{"op": "reshape", "shape": []}], [{"op": "reshape", "shape": [1, 1]}]
    through(edgebench, tmp_path, one, to_scalar, scalar, back, one).done()
    assert np.fromfile(tmp_path / "outputs/0.bin", np.float32).tolist() == [1]


def test_a_long_chain(edgebench: Edgebench, tmp_path: Path) -> None:
    array = np.arange(60, dtype=np.int64).reshape(3, 4, 5)
    into: list[Json] = [
        {"op": "cast", "to": "float32"}, {"op": "transpose", "perm": [2, 0, 1]}, {"op": "reshape", "shape": [5, 12]},
        {"op": "quantize", "to": "uint8", "scale": 0.5, "zero_point": 3}, {"op": "transpose", "perm": [1, 0]},
    ]  # fmt: skip
    out_of: list[Json] = [{"op": "dequantize", "scale": 0.5, "zero_point": 3}, {"op": "transpose", "perm": [1, 0]},
              {"op": "cast", "to": "int16"}, {"op": "reshape", "shape": [60]}]  # fmt: skip
    check(edgebench, tmp_path, array, into, out_of)


def test_their_cost_is_told(edgebench: Edgebench, tmp_path: Path) -> None:
    array = np.zeros((200, 1000), np.float32)
    flip = [{"op": "transpose", "perm": [1, 0]}]
    line = through(edgebench, tmp_path, array, flip, array.T, flip, array).done()["adapters"]
    assert line["input_ns"] > 0
    assert line["output_ns"] > 0


@pytest.mark.parametrize("given", [["n", 3], ["n", "m"]])
def test_open_dimensions_are_taken_from_the_plan(edgebench: Edgebench, tmp_path: Path, given: list[int | str]) -> None:
    identity(tmp_path / "m.onnx", "float32", given)
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    array.tofile(tmp_path / "x.bin")
    flip = {"op": "transpose", "perm": [1, 0]}
    plan = base_plan(
        "onnx", "m.onnx", [tensor("x", "float32", [3, 4], flip, file="x.bin")],
        [tensor("y", "float32", [3, 4], flip)], cases=1, output_cases=1,
    )  # fmt: skip
    ran = edgebench.run(tmp_path, plan).done()
    np.testing.assert_array_equal(np.fromfile(tmp_path / ran["output"]["file"], np.float32).reshape(3, 4), array)
    plan["outputs"] = [tensor("y", "float32", [12], {"op": "reshape", "shape": [12]})]
    ran = edgebench.run(tmp_path, plan)
    if given == ["n", 3]:
        np.testing.assert_array_equal(np.fromfile(tmp_path / ran.done()["output"]["file"], np.float32), array.T.ravel())
    else:
        ran.failed("signature_mismatch")  # two open dimensions behind a reshape: no telling


@pytest.mark.parametrize(
    "step",
    [
        {"op": "cast", "to": "float64"}, {"op": "cast"}, {"op": "cast", "to": "int8", "more": 1}, {"op": "sharpen"}, {},
        {"op": "quantize", "to": "int32", "scale": 1, "zero_point": 0},
        {"op": "quantize", "to": "int8", "scale": 0, "zero_point": 0},
        {"op": "quantize", "to": "int8", "scale": -1, "zero_point": 0},
        {"op": "quantize", "to": "int8", "scale": 1, "zero_point": 200},
        {"op": "quantize", "to": "uint8", "scale": 1, "zero_point": -1},
        {"op": "quantize", "to": "int8", "scale": 1, "zero_point": 0.5},
        {"op": "dequantize", "scale": 1, "zero_point": 0},  # of a float32
        {"op": "transpose", "perm": [0]}, {"op": "transpose", "perm": [0, 0]}, {"op": "transpose", "perm": [0, 2]},
        {"op": "transpose", "perm": [1, -1]}, {"op": "transpose", "perm": "10"}, {"op": "reshape", "shape": [5]},
        {"op": "reshape", "shape": [-1]}, {"op": "reshape", "shape": [2**40, 2**40]}, {"op": "reshape", "shape": [0]},
        "cast", None, 3, [],
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_adapters_that_make_no_sense(edgebench: Edgebench, tmp_path: Path, step: Any, side: str) -> None:
    identity(tmp_path / "m.onnx", "float32", [2, 3])
    np.zeros(6, np.float32).tofile(tmp_path / "x.bin")
    plan = base_plan(
        "onnx", "m.onnx", [tensor("x", "float32", [2, 3], file="x.bin")], [tensor("y", "float32", [2, 3])],
        cases=1, output_cases=1,
    )  # fmt: skip
    plan[side][0]["adapters"] = [step]
    edgebench.run(tmp_path, plan).failed("plan_invalid", "unsupported_dtype", "signature_mismatch")
