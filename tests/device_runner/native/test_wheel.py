"""A wheel that carries our programs, installed where there is no compiler."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from device_runner import bundles
from tests.device_runner.native.conftest import CACHE, ROOT
from tests.device_runner.native.support import Edgebench


def test_no_compiler_is_needed(runner_bundle: bundles.RunnerBundle, tmp_path: Path) -> None:
    if os.environ.get("EDGEBENCH_SANITIZE"):
        return
    abi = bundles.host_abi()
    script = [sys.executable, str(ROOT / "scripts" / "build_wheel"), "--abi", abi, "--out", str(tmp_path / "dist")]
    done = subprocess.run(script, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").iterdir()
    assert done.stdout.strip() == str(wheel)
    again = subprocess.run(script, capture_output=True, text=True, timeout=300, check=False)
    assert (again.returncode, "is there already" in again.stderr) == (1, True)

    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(tmp_path / "site")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "wheels").symlink_to(CACHE / "wheels")
    environment = {"PATH": str(tmp_path), "PYTHONPATH": str(tmp_path / "site"), "EDGEDEPLOY_CACHE": str(tmp_path / "cache")}
    built = subprocess.run(
        [sys.executable, "-m", "edgedeploy", "bundles", "build"], capture_output=True, text=True, timeout=300, check=False,
        cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert "compiling" not in built.stderr
    there = Path(built.stdout.strip())
    assert there == tmp_path / "cache" / "runner" / abi
    assert (there / "bin/edgebench").read_bytes() == runner_bundle.binary.read_bytes()
    assert Edgebench(there / "bin/edgebench").call("--hello")["hello"]["missing"] == {}
    # programs of other sources are not taken: then a compiler is asked for
    (tmp_path / "site/device_runner/native/src/main.cpp").write_text("// of tomorrow")
    refused = subprocess.run(
        [sys.executable, "-m", "edgedeploy", "bundles", "build"], capture_output=True, text=True, timeout=300, check=False,
        cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert (refused.returncode, "no C++ compiler" in refused.stderr) == (2, True), refused.stderr
