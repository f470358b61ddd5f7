"""Plans that are wrong, each in its way: an error line, the code that belongs to it, and never a crash."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.device_runner.native.identity import identity
from tests.device_runner.native.support import Edgebench, Json, base_plan, limits, tensor


@pytest.fixture
def plan(tmp_path: Path) -> Json:
    """A plan that works, of a model that costs nothing."""
    identity(tmp_path / "m.onnx", "float32", [2, 3])
    np.arange(12, dtype=np.float32).tofile(tmp_path / "x.bin")
    return base_plan(
        "onnx", "m.onnx", [tensor("x", "float32", [2, 3], file="x.bin")], [tensor("y", "float32", [2, 3])],
        cases=2, output_cases=2,
    )  # fmt: skip


def changed(plan: Json, path: str, value: Any) -> Json:
    """A copy with the value at `a.0.b` replaced, or removed where it is `...`."""
    copied = copy.deepcopy(plan)
    at: Any = copied
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for parent in parents:
        at = at[parent]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return copied


def test_the_plan_itself_works(edgebench: Edgebench, tmp_path: Path, plan: Json) -> None:
    edgebench.run(tmp_path, plan).done()


HUGE = 10**30
INVALID: list[tuple[str, Any]] = [
    ("protocol", 2), ("protocol", "1"), ("protocol", ...), ("protocol", 1.0), ("protocol", True), ("protocol", HUGE),
    ("runtime", "tensorflow"), ("runtime", ""), ("runtime", 7), ("runtime", ...), ("runtime", "onnx\0"), ("runtime", "x" * 999),
    ("backend", "cuda"), ("backend", None), ("backend", []), ("backend", "xnnpack"),
    ("model", 1), ("model", ""), ("model", ...), ("model", ["m.onnx"]), ("model", "m.onnx\0.txt"), ("model", "a" * 5000),
    ("threads", 0), ("threads", -1), ("threads", 1000), ("threads", 1.5), ("threads", "1"), ("threads", None),
    ("affinity", []), ("affinity", [-1]), ("affinity", [0, 0]), ("affinity", [1000]), ("affinity", ["0"]), ("affinity", 0),
    ("affinity", [0.0]), ("affinity", [[0]]), ("affinity", list(range(3000))),
    ("inputs", None), ("inputs", {}), ("inputs", ...), ("inputs", [None]), ("inputs", ["x"]), ("inputs", [[]]),
    ("inputs.0.name", ""), ("inputs.0.name", 3), ("inputs.0.name", ...), ("inputs.0.name", "n" * 300),
    ("inputs.0.dtype", 3), ("inputs.0.dtype", ...), ("inputs.0.dtype", None),
    ("inputs.0.shape", ...), ("inputs.0.shape", 6), ("inputs.0.shape", [0, 3]), ("inputs.0.shape", [-1, 3]),
    ("inputs.0.shape", [2, "3"]), ("inputs.0.shape", [2, 3.0]), ("inputs.0.shape", [2**39, 2**39]),
    ("inputs.0.shape", [2**62, 4, 4]), ("inputs.0.shape", [HUGE]), ("inputs.0.shape", [1] * 9), ("inputs.0.shape", [None]),
    ("inputs.0.file", 0), ("inputs.0.file", ""), ("inputs.0.file", ...), ("inputs.0.adapters", {}),
    ("inputs.0.adapters", [{"op": "cast", "to": "float32"}] * 17), ("inputs.0.files", "x.bin"),
    ("outputs", ...), ("outputs", "y"), ("outputs.0.shape", [0]), ("outputs.0.file", "y.bin"), ("outputs.0.name", ...),
    ("cases", 0), ("cases", -1), ("cases", 1.5), ("cases", HUGE), ("cases", None),
    ("warmup", None), ("warmup", []), ("warmup.min_count", -1), ("warmup.min_count", 30), ("warmup.max", 3),
    ("steady.max_count", 2**40), ("steady.max_count", -1), ("steady.min_ms", -1), ("steady.min_ms", "1"),
    ("steady.min_ms", 1.5), ("steady.min_count", HUGE), ("steady", "long"),
    ("max_seconds", 0), ("max_seconds", -1), ("max_seconds", "1"), ("max_seconds", 1e9), ("max_seconds", None),
    ("max_memory_mb", 0), ("max_memory_mb", -1), ("max_memory_mb", 2**40), ("max_memory_mb", 0.5),
    ("write_outputs", ""), ("write_outputs", 1), ("write_outputs", False), ("output_cases", 3), ("output_cases", -1),
    ("load_cold", 1), ("load_cold", None), ("load_cold", "true"), ("thread", 1), ("", 1),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), INVALID, ids=[f"{path}={str(value)[:30]}" for path, value in INVALID])
def test_invalid_values(edgebench: Edgebench, tmp_path: Path, plan: Json, path: str, value: Any) -> None:
    edgebench.run(tmp_path, changed(plan, path, value)).failed("plan_invalid")
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("inputs.0.dtype", "float64", "unsupported_dtype"), ("outputs.0.dtype", "string", "unsupported_dtype"),
        ("inputs.0.dtype", "int32", "signature_mismatch"), ("outputs.0.dtype", "int32", "signature_mismatch"),
        ("inputs.0.shape", [3, 2], "signature_mismatch"), ("inputs.0.shape", [6], "signature_mismatch"),
        ("outputs.0.shape", [3, 2], "signature_mismatch"), ("outputs.0.shape", [6], "signature_mismatch"),
        ("inputs.0.name", "z", "signature_mismatch"), ("outputs.0.name", "x", "signature_mismatch"),
        ("inputs", [], "signature_mismatch"), ("inputs.0.file", "none.bin", "input_missing"),
        ("inputs.0.file", "x.bin/y", "input_missing"), ("inputs.0.shape", [2, 4], "input_size"), ("cases", 3, "input_size"),
        ("cases", 10_000_000, "input_size"), ("inputs.0.dtype", "float16", "input_size"),
        ("model", "none.onnx", "model_missing"),
        ("model", "x.bin/m", "model_missing"),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit(edgebench: Edgebench, tmp_path: Path, plan: Json, path: str, value: Any, code: str) -> None:
    edited = changed(plan, path, value)
    edited["output_cases"] = 1
    edgebench.run(tmp_path, edited).failed(code)


def test_too_many_tensors(edgebench: Edgebench, tmp_path: Path, plan: Json) -> None:
    more = [tensor(f"x{i}", "float32", [2, 3], file="x.bin") for i in range(65)]
    edgebench.run(tmp_path, {**plan, "inputs": more}).failed("plan_invalid")
    edgebench.run(tmp_path, {**plan, "inputs": more[:2]}).failed("signature_mismatch")
    edgebench.run(tmp_path, {**plan, "inputs": plan["inputs"] * 2}).failed("plan_invalid")
    edgebench.run(tmp_path, {**plan, "outputs": [tensor(n, "float32", [2, 3]) for n in "yz"]}).failed("signature_mismatch")


def test_more_memory_than_the_plan_allows(edgebench: Edgebench, tmp_path: Path, plan: Json) -> None:
    identity(tmp_path / "m.onnx", "float32", ["n"])
    with (tmp_path / "x.bin").open("wb") as file:
        file.truncate(400 << 20)
    edited = {**plan, "cases": 1, "output_cases": 1, "max_memory_mb": 300,
              "inputs": [tensor("x", "float32", [100 << 20], file="x.bin")],
              "outputs": [tensor("y", "float32", [100 << 20])]}  # fmt: skip
    assert "max_memory_mb" in edgebench.run(tmp_path, edited).failed("plan_invalid")["message"]


ESCAPES = ["../x.bin", "/etc/passwd", "a/../../x", "./x.bin", "a//b", "a/", "..", ".", "a/.", "out/leak", "link", "far", "a\\b"]


@pytest.mark.parametrize("path", ESCAPES)
@pytest.mark.parametrize("field", ["model", "inputs.0.file", "write_outputs"])
def test_paths_stay_inside(edgebench: Edgebench, tmp_path: Path, field: str, path: str) -> None:
    inside, outside = tmp_path / "plan", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    identity(inside / "m.onnx", "float32", [2, 3])
    for directory in (inside, outside, tmp_path):
        np.arange(12, dtype=np.float32).tofile(directory / "x.bin")
    (outside / "leak").write_bytes((inside / "x.bin").read_bytes())
    (inside / "out").symlink_to("../outside")
    (inside / "link").symlink_to(outside / "leak")
    (inside / "far").symlink_to("link")
    plan = base_plan(
        "onnx", "m.onnx", [tensor("x", "float32", [2, 3], file="x.bin")], [tensor("y", "float32", [2, 3])],
        cases=2, output_cases=2,
    )  # fmt: skip
    edgebench.run(inside, changed(plan, field, path)).failed("path_outside")
    assert sorted(entry.name for entry in outside.iterdir()) == ["leak", "x.bin"]


def test_links_that_stay_inside_are_followed(edgebench: Edgebench, tmp_path: Path, plan: Json) -> None:
    real = tmp_path / "real"
    real.mkdir()
    os.rename(tmp_path / "m.onnx", real / "model.onnx")
    (tmp_path / "m.onnx").symlink_to("real/model.onnx")
    (tmp_path / "x").symlink_to("x.bin")
    edgebench.run(tmp_path, changed(plan, "inputs.0.file", "x")).done()


def test_results_never_go_through_a_link(edgebench: Edgebench, tmp_path: Path, plan: Json) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "outputs").mkdir()
    for name in ("samples.bin", "outputs/0.bin"):
        (tmp_path / name).symlink_to(victim)
    edgebench.run(tmp_path, plan).done()
    assert victim.read_text() == "precious"
    (tmp_path / "runner.pid").unlink()
    (tmp_path / "runner.pid").symlink_to(victim)
    edgebench.run(tmp_path, plan).failed("output_failed")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("field", ["model", "inputs.0.file"])
@pytest.mark.parametrize("kind", ["directory", "fifo", "cycle", "dangling", "socket"])
def test_what_is_no_file(edgebench: Edgebench, tmp_path: Path, plan: Json, field: str, kind: str) -> None:
    path = tmp_path / "odd"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "cycle":
        path.symlink_to("odder")
        (tmp_path / "odder").symlink_to("odd")
    elif kind == "dangling":
        path.symlink_to("nothing")
    else:
        os.mknod(path, 0o140600)
    codes = ("input_missing",) if field != "model" else ("model_missing", "model_invalid")
    edgebench.run(tmp_path, changed(plan, field, "odd")).failed(*codes)


@pytest.mark.parametrize("kind", ["directory", "fifo", "missing", "link out", "unreadable directory"])
def test_a_plan_that_is_no_file(edgebench: Edgebench, tmp_path: Path, kind: str) -> None:
    inside = tmp_path / "plan"
    inside.mkdir()
    path = inside / "plan.json"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "link out":
        (tmp_path / "secret.json").write_text("{}")
        path.symlink_to("../secret.json")
    elif kind == "unreadable directory":
        path = tmp_path / "nowhere" / "plan.json"
    edgebench.call("--plan", path).failed("plan_missing", "path_outside")


def test_write_outputs_over_a_file(edgebench: Edgebench, tmp_path: Path, plan: Json) -> None:
    (tmp_path / "outputs").write_text("a file")
    edgebench.run(tmp_path, plan).failed("output_failed")


GOOD = json.dumps({"protocol": 1}).encode()
TEXTS = [
    b"", b" ", b"null", b"[]", b"1", b'"plan"', b"{", b"}", b'{"protocol": 1', b'{"protocol": 1,}', b"{'protocol': 1}",
    b'{"protocol": 01}', b'{"protocol": +1}', b'{"protocol": .5}', b'{"protocol": 1.}', b'{"protocol": 1e}', b"NaN",
    b'{"protocol": NaN}', b'{"protocol": Infinity}', b'{"protocol": 1e999}', b'{"protocol": 99999999999999999999}',
    b'{"protocol": 1, "protocol": 1}', b'{"protocol": 1} x', b"// no\n{}", b'{"a": "\x01"}', b'{"a": "\\x"}', b'{"a": "\\u12"}',
    b'{"a": "\\ud800"}', b'{"a": "\\udc00\\ud800"}', b'{"a": "\xff"}', b'{"a": "\xc0\xaf"}', b'{"a": "\xed\xa0\x80"}',
    b'{"a": "\xf4\x90\x80\x80"}', b'{"a": "\xe2\x82', b"\xef\xbb\xbf{}", b'{"a": tru}', b'{"a" 1}', b"\x00", GOOD + b"\x00",
    b"[" * 100_000, b'{"a":' * 5000, b'{"a": [' + b"0," * 400_000 + b"0]}", b'{"a": "' + b"x" * (5 << 20) + b'"}',
    b"{" + b" " * 99999,
    b'{"a": ' + b"1" * 5000 + b"}", b'{"inputs": [' + b"{}," * 90 + b"{}]}",
    b"{" + b",".join(b'"k%d": 0' % i for i in range(9000)) + b"}", bytes(range(256)) * 16,
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS, ids=[str(text[:24]) for text in TEXTS])
def test_texts_that_are_no_plan(edgebench: Edgebench, tmp_path: Path, text: bytes) -> None:
    edgebench.run(tmp_path, text).failed("plan_invalid")


def test_json_that_is_fine(edgebench: Edgebench, tmp_path: Path, plan: Json) -> None:
    text = json.dumps(plan, indent=3, ensure_ascii=True).replace('"x"', '"\\u0078"').replace(": 2048", ": 2048\t\r\n ")
    edgebench.run(tmp_path, text.encode()).done()


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["--plan"], ["--plan", ""], ["--what"], ["--detach"], ["--hello", "--poll", "."], ["--describe", "m.onnx"],
        ["--runtime", "onnx"], ["--hello", "--detach"], ["plan.json"], ["--hello", "--runtime", "x"],
        ["--plan", "plan.json", "--beside"], ["--plan", "plan.json", "--beside", "plan.json"], ["--hello", "--beside", "x"],
        ["--plan", "x", "--detach", *["--beside", "x"] * 8],
    ],
    ids=str,
)  # fmt: skip
def test_arguments(edgebench: Edgebench, arguments: list[str]) -> None:
    edgebench.call(*arguments).failed("plan_invalid")


def test_a_missing_library_is_said(edgebench: Edgebench, tmp_path: Path, plan: Json) -> None:
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    for runtime in ("onnx", "tflite", "executorch"):
        (tmp_path / "plan.json").write_text(json.dumps({**plan, "runtime": runtime}))
        ran = edgebench.call("--plan", tmp_path / "plan.json", "--lib-dir", tmp_path)
        ran.failed("library_missing")
        assert ran["hello"]["runtime_version"] is None
    (tmp_path / "libonnxruntime.so.1").write_bytes(b"\x7fELF but not really")
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    edgebench.call("--plan", tmp_path / "plan.json", "--lib-dir", tmp_path).failed("library_missing")


def test_no_room_for_samples(edgebench: Edgebench, tmp_path: Path, plan: Json) -> None:
    (tmp_path / "plan.json").write_text(json.dumps({**plan, "steady": limits(1, 1_000_000)}))
    # a limit on the size of a file stands for a full disk
    command = [
        "bash",
        "-c",
        'ulimit -f 100; trap "" XFSZ; exec "$@"',
        "bash",
        *edgebench.command("--plan", tmp_path / "plan.json"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["event"], last["code"], done.returncode) == ("error", "output_failed", 3)
