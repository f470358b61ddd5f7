"""The same sources for a board's CPU, run in emulation: the same events, and the outputs of x86. No time means anything."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from device_runner import bundles
from tests.device_runner.native.conftest import CACHE, INSTALL
from tests.device_runner.native.support import (
    ORDER,
    RUNTIMES,
    Edgebench,
    expected,
    image_plan,
    json_of,
    output,
    read_samples,
    tensor,
    text_plan,
    wait_for,
    write_plan,
)

SYSROOT = Path("/usr/aarch64-linux-gnu")


@pytest.fixture(scope="module")
def board() -> Edgebench:
    """The aarch64 runner under qemu-user, as an ARM Neoverse N1."""
    emulator = shutil.which("qemu-aarch64")
    assert emulator, f"no qemu-aarch64: run {INSTALL}"
    version = subprocess.run([emulator, "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    assert int(version.split(".")[0]) >= 10, f"qemu-aarch64 {version} is too old: run {INSTALL}"
    assert shutil.which("aarch64-linux-gnu-g++"), f"no aarch64-linux-gnu-g++: run {INSTALL}"
    built = bundles.build("linux-aarch64", CACHE / "runner" / "linux-aarch64")
    return Edgebench(built.binary, (emulator, "-cpu", "neoverse-n1", "-L", str(SYSROOT)))


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", ["image", "text"])
def test_outputs_are_those_of_x86(board: Edgebench, models: Path, tmp_path: Path, runtime: str, name: str) -> None:
    plan = (image_plan if name == "image" else text_plan)(tmp_path, models, runtime)
    ran = board.run(tmp_path, plan).done()
    assert [event for event in ran.names if event != "output"] == [event for event in ORDER if event != "output"]
    assert ran["hello"]["abi"] == "linux-aarch64"
    assert {"asimd", "dotprod"} <= set(ran["hello"]["cpu"]["isa"])
    for k, wanted in enumerate(expected(models, name, runtime)):
        np.testing.assert_allclose(output(ran, k)[:, 0], wanted, rtol=1e-5, atol=1e-6)
    assert len(read_samples(tmp_path).steady) == ran["steady"]["count"] >= 10


@pytest.mark.parametrize("cpu", ["cortex-a72", "cortex-a53"])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_cpu_without_lse_atomics(board: Edgebench, models: Path, tmp_path: Path, runtime: str, cpu: str) -> None:
    """A Raspberry Pi 4 and 3: instructions that came after ARMv8.0 are not there, and an emulator of them refuses those."""
    emulator, _, _, *more = board.prefix
    old = Edgebench(board.binary, (emulator, "-cpu", cpu, *more))
    ran = old.run(tmp_path, text_plan(tmp_path, models, runtime)).done()
    assert ran["hello"]["cpu"]["isa"] == ["asimd"]
    for k, wanted in enumerate(expected(models, "text", runtime)):
        np.testing.assert_allclose(output(ran, k)[:, 0], wanted, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def bare_board(board: Edgebench, tmp_path_factory: pytest.TempPathFactory) -> Edgebench:
    """A Cortex-A72 that has no C library at all: below the emulator's prefix there is nothing."""
    built = bundles.build("linux-aarch64-portable", CACHE / "runner" / "linux-aarch64-portable")
    assert built.manifest.loader is not None
    emulator = board.prefix[0]
    start = (str(built.root / built.manifest.loader), "--library-path", str(built.lib_dir))
    return Edgebench(built.binary, (emulator, "-cpu", "cortex-a72", "-L", str(tmp_path_factory.mktemp("nothing")), *start))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_board_whose_c_library_is_of_no_use(bare_board: Edgebench, models: Path, tmp_path: Path, runtime: str) -> None:
    ran = bare_board.run(tmp_path, image_plan(tmp_path, models, runtime)).done()
    np.testing.assert_allclose(output(ran, 0)[:, 0], expected(models, "image", runtime)[0], rtol=1e-5, atol=1e-6)


def test_the_portable_bundle_is_whole(bare_board: Edgebench, board: Edgebench) -> None:
    bundle = bundles.RunnerBundle(bare_board.binary.parents[1], bundles.locate("linux-aarch64-portable").manifest)
    assert bundles.problems(bundle) == []
    assert bare_board.binary.read_bytes() == board.binary.read_bytes()
    licences = {path.parent.name for path in bundle.root.glob("licenses/*/*")}
    assert {"libc6", "libgcc-s1", "libstdc++6", "onnxruntime"} <= licences


def test_threads_and_a_cold_load(board: Edgebench, models: Path, tmp_path: Path) -> None:
    ran = board.run(tmp_path, image_plan(tmp_path, models, "executorch", threads=2, affinity=[0], load_cold=True)).done()
    assert ran["load"]["load_cold_ns"] or "page cache" in ran["load"]["cold_reason"]
    np.testing.assert_allclose(output(ran, 0)[:, 0], expected(models, "image", "executorch")[0], rtol=1e-5, atol=1e-6)


def test_quantised_ends(board: Edgebench, edgebench: Edgebench, models: Path, tmp_path: Path) -> None:
    """Adapters round the same way on both."""
    quantize = {"op": "quantize", "to": "int8", "scale": 0.031, "zero_point": 3}
    back = {"op": "dequantize", "scale": 0.031, "zero_point": 3}
    plan = image_plan(tmp_path, models, "onnx")
    plan["inputs"] = [tensor("image", "float32", [1, 3, 16, 16], quantize, back, file="inputs/image.bin")]
    plan["outputs"] = [tensor("logits", "int8", [1, 10], {"op": "quantize", "to": "int8", "scale": 0.01, "zero_point": 0})]
    here = output(edgebench.run(tmp_path, plan).done(), 0)
    there = output(board.run(tmp_path, plan).done(), 0)
    assert np.abs(here.astype(int) - there.astype(int)).max() <= 1
    assert np.abs(here).max() > 5


def test_errors_and_a_detached_run(board: Edgebench, models: Path, tmp_path: Path) -> None:
    plan = image_plan(tmp_path, models, "tflite")
    board.run(tmp_path, {**plan, "threads": 0}).failed("plan_invalid")
    (tmp_path / "junk.tflite").write_bytes(b"\0" * 100)
    board.run(tmp_path, {**plan, "model": "junk.tflite"}).failed("model_invalid", "worker_died")
    write_plan(tmp_path, plan)
    assert board.call("--plan", tmp_path / "plan.json", "--detach").names == ["detached"]
    wait_for(lambda: not board.call("--poll", tmp_path)["status"]["alive"], "the run to end")
    assert json_of(tmp_path / "events.jsonl")[-1]["event"] == "end"
