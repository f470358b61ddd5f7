"""The runner, built once, and tiny models, made once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from device_runner import bundles
from device_runner.cache import cache_root
from tests.device_runner.native.support import Edgebench, Json, Started

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
INSTALL = "scripts/install_test_packages"
#: before any fixture changes it: what is built and made here is kept from one run of the tests to the next
CACHE = cache_root()


@pytest.fixture(autouse=True, scope="module")
def _own_cache() -> Iterator[None]:
    """The user's cache and not one of the tests' own, as the tests around these have: building is what is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEDEPLOY_CACHE", str(CACHE))
        yield


@pytest.fixture(scope="session")
def runner_bundle() -> bundles.RunnerBundle:
    """The runner of this machine. EDGEBENCH_SANITIZE=1 takes one with sanitizers."""
    assert shutil.which("g++"), f"no g++: run {INSTALL}"
    if os.environ.get("EDGEBENCH_SANITIZE"):
        # a signal ends a worker as it does without sanitizers; what they report is then always about our own code
        os.environ["ASAN_OPTIONS"] = "handle_segv=0:handle_abort=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0"
        abi = bundles.host_abi()
        return bundles.build(abi, CACHE / "runner" / f"{abi}-sanitize", sanitize=True)
    return bundles.build(bundles.host_abi(), CACHE / "runner" / bundles.host_abi())


@pytest.fixture(scope="session")
def edgebench(runner_bundle: bundles.RunnerBundle) -> Edgebench:
    return Edgebench(runner_bundle.binary)


@pytest.fixture(scope="session")
def models() -> Path:
    """A directory of tiny models; kept, by what they are made from."""
    packages = ("torch", "onnx", "onnxruntime", "litert-torch", "ai-edge-litert", "executorch")
    key = hashlib.sha256((HERE / "make_models.py").read_bytes())
    key.update(repr([metadata.version(name) for name in packages]).encode())
    target = CACHE / "test-models" / key.hexdigest()[:16]
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f"{target.name}.{os.getpid()}")
        scratch.mkdir()
        command = [sys.executable, "-m", "tests.device_runner.native.make_models", str(scratch)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        try:
            os.rename(scratch, target)
        except OSError:  # another run of the tests was first
            shutil.rmtree(scratch)
    return target


@pytest.fixture
def start(edgebench: Edgebench) -> Iterator[type[Started]]:
    """Starts runs that are ended with the test."""
    running: list[Started] = []

    def begin(directory: Path, plan: Json) -> Started:
        running.append(Started(edgebench, directory, plan))
        return running[-1]

    yield begin  # type: ignore[misc]
    for run in running:
        run.close()
