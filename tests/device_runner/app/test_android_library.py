"""The app's library for Android, called as a Java machine would, on the stand-in for Android's C library."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_runner import bundles
from device_runner.app import native, tools
from device_runner.bundles import sources
from device_runner.bundles.toolchain import find_toolchain
from tests.bench_hosts import bionic
from tests.device_runner.native.conftest import CACHE
from tests.device_runner.native.support import ORDER, RUNTIMES, Ran, expected, image_plan, json_of, output, write_plan
from tests.device_runner.native.test_android import VERSIONS

_CALLER = Path(bionic.__file__).with_name("jni_caller")
_MACHINES = {"android-x86_64": "x86_64", "android-arm64": "aarch64"}


class Caller:
    """The library of an ABI, where it can be called."""

    def __init__(self, abi: str, directory: Path, shared: Path) -> None:
        self.bundle = bundles.build(abi)
        self.library = shutil.copy(native.library(abi, lambda said: None), directory)
        self.program = self._compiled(abi, directory)
        self.notes = directory / "notes"
        self.notes.mkdir()
        shutil.copy(self.bundle.lib_dir / "versions.json", self.notes)
        machine = _MACHINES[abi]
        root = bionic.build_root(directory / "android", machine)
        emulated = machine != "x86_64"
        self.prefix: Sequence[str] = bionic.emulated(root) if emulated else bionic.native(root, self.bundle.root, shared)

    def _compiled(self, abi: str, directory: Path) -> Path:
        toolchain, out = find_toolchain(abi), directory / "caller"
        configure = [
            toolchain.cmake, "-S", _CALLER, "-B", out, *(["-G", "Ninja"] if toolchain.ninja else []),
            *toolchain.all_settings(lambda said: None), f"-DNATIVE={sources.NATIVE}", f"-DJNI_INCLUDE={tools.jni_include()}",
        ]  # fmt: skip
        environment = os.environ | {f"ZIG_{kind}_CACHE_DIR": str(out / "zig") for kind in ("GLOBAL", "LOCAL")}
        path = os.pathsep.join([str(Path(toolchain.ninja or "/").parent), os.environ["PATH"]])
        for command in (configure, [toolchain.cmake, "--build", out]):
            done = subprocess.run(command, capture_output=True, text=True, env=environment | {"PATH": path}, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        return out / "jni_caller"

    def call(self, directory: Path, *command: str) -> Ran:
        arguments = [self.program, self.library, directory, self.bundle.lib_dir, self.notes, *command]
        done = subprocess.run([*self.prefix, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)
        lines = directory / "worker.jsonl"
        return Ran(done.returncode, json_of(lines) if lines.exists() else [], done.stderr, directory)


@pytest.fixture(scope="module", params=sorted(_MACHINES))
def caller(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Caller:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEDEPLOY_CACHE", str(CACHE))
        return Caller(request.param, tmp_path_factory.mktemp("jni"), tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_plan(caller: Caller, models: Path, tmp_path: Path, runtime: str) -> None:
    more: dict[str, Any] = {"load_cold": True}
    write_plan(tmp_path, image_plan(tmp_path, models, runtime, **more))
    ran = caller.call(tmp_path, "plan").done()
    assert [name for name in ran.names if name != "output"] == [name for name in ORDER if name != "output"]
    assert (ran["hello"]["abi"], ran["hello"]["runtime_version"]) == (caller.bundle.manifest.abi, VERSIONS[runtime])
    assert ran["load"]["cold_reason"] == "an app cannot fork"
    np.testing.assert_allclose(output(ran, 0)[:, 0], expected(models, "image", runtime)[0], rtol=1e-5, atol=1e-6)


def test_questions(caller: Caller, models: Path, tmp_path: Path) -> None:
    hello = caller.call(tmp_path, "hello")["hello"]
    assert (hello["runtimes"], hello["missing"]) == (VERSIONS, {})
    shutil.copy(models / "text.onnx", tmp_path)
    described = caller.call(tmp_path, "describe", str(tmp_path / "text.onnx"), "onnx")["describe"]
    assert [tensor["name"] for tensor in described["inputs"]] == ["ids", "mask"]


def test_errors(caller: Caller, models: Path, tmp_path: Path) -> None:
    caller.call(tmp_path, "plan").failed("plan_missing")
    write_plan(tmp_path, {**image_plan(tmp_path, models, "onnx"), "model": "../x"})
    caller.call(tmp_path, "plan").failed("path_outside")
    caller.call(tmp_path, "rm", "-rf").failed("plan_invalid")
    # what a runtime prints is kept
    assert (tmp_path / "stderr.txt").exists()
