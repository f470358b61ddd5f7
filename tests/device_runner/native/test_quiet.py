"""Between two samples the runner allocates nothing, reads and writes nothing and does not sleep: counted call by call.

The real runner with a stand-in for a runtime, so that what is counted is the runner's own and not a library's.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from device_runner.bundles.sources import NATIVE
from tests.device_runner.native.support import Edgebench, Json, base_plan, limits, tensor, write_plan

SOURCES = Path(__file__).parent / "counting"
#: what comes between the phases and before the first call: events, and the threads' places
BETWEEN_PHASES = 5
CALLS = 2000
QUANTIZE = {"op": "quantize", "to": "int8", "scale": 2.0, "zero_point": 1}
DEQUANTIZE = {"op": "dequantize", "scale": 2.0, "zero_point": 1}

pytestmark = pytest.mark.skipif(bool(os.environ.get("EDGEBENCH_SANITIZE")), reason="sanitizers count allocations themselves")


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what is preloaded, and with the stand-in under the name of ExecuTorch's plugin."""
    compiler = shutil.which("g++")
    assert compiler, "no g++"
    made = tmp_path_factory.mktemp("counting")
    for source, target in (("count.cpp", "count.so"), ("plugin.cpp", "libedgebench_executorch.so")):
        command = [compiler, "-std=c++17", "-O2", "-fPIC", "-shared", "-fno-rtti", "-fno-exceptions", "-D_GNU_SOURCE"]
        command += [f"-I{NATIVE / 'src'}", str(SOURCES / source), "-o", str(made / target)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def plan(tmp_path: Path) -> Json:
    (tmp_path / "m.pte").write_bytes(b"any")
    np.arange(4, dtype=np.float32).tofile(tmp_path / "x.bin")
    return base_plan(
        "executorch", "m.pte", [tensor("x", "float32", [4], file="x.bin")], [tensor("y", "float32", [4])], cases=1,
        output_cases=1, warmup=limits(100, 100), steady=limits(CALLS, CALLS), write_outputs=None,
    )  # fmt: skip


def counted(edgebench: Edgebench, counting: Path, directory: Path, plan: Json, **more: str) -> tuple[int, int]:
    """(calls, before how many of them something was counted)."""
    write_plan(directory, plan)
    (directory / "counts").write_bytes(bytes(16))
    environment = {
        **os.environ,
        "LD_PRELOAD": str(counting / "count.so"),
        "EDGEBENCH_COUNTS": str(directory / "counts"),
        **more,
    }
    edgebench.call("--plan", directory / "plan.json", "--lib-dir", counting, env=environment).done()
    calls, disturbed = struct.unpack("ll", (directory / "counts").read_bytes())
    return calls, disturbed


def test_one_model(edgebench: Edgebench, counting: Path, tmp_path: Path, plan: Json) -> None:
    calls, disturbed = counted(edgebench, counting, tmp_path, plan)
    assert calls == 1 + 100 + CALLS
    assert disturbed <= BETWEEN_PHASES


def test_a_chain_with_adapters_between_its_stages(edgebench: Edgebench, counting: Path, tmp_path: Path, plan: Json) -> None:
    plan["outputs"] = [tensor("y", "int8", [4], {"op": "transpose", "perm": [0]}, QUANTIZE)]
    taken = {**tensor("x", "int8", [4], DEQUANTIZE, {"op": "reshape", "shape": [4]}), "from": [0, 0]}
    plan["then"] = [{"model": "m.pte", "inputs": [taken], "outputs": [tensor("y", "float32", [4])]}]
    calls, disturbed = counted(edgebench, counting, tmp_path, plan)
    assert calls == 2 * (1 + 100 + CALLS)
    assert disturbed <= BETWEEN_PHASES


def test_an_allocation_would_be_noticed(edgebench: Edgebench, counting: Path, tmp_path: Path, plan: Json) -> None:
    calls, disturbed = counted(edgebench, counting, tmp_path, plan, EDGEBENCH_ALLOCATE="1")
    assert disturbed >= calls - 1
