"""Running a lowered file on this host: ends, copies, threads, silence, and nothing left changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from edgedeploy.artifact import Cast
from exporter.runtimes.base import PortedModel, Runtime, Work
from tests.exporter.runtimes import standins
from tests.exporter.runtimes.conftest import RUNTIMES, Lower


@pytest.fixture(scope="module")
def two_ends() -> Work:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    inputs = {"values": rng.standard_normal((4, 4), dtype=np.float32), "counts": rng.integers(1, 5, (4, 4))}
    outputs = (standins.spec("summed", (1, 3)), standins.spec("scaled", (2, 2)))
    return standins.work(standins.TwoEnds(), inputs, outputs)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_several_inputs_and_outputs_keep_their_names(
    runtime: str, two_ends: Work, by_name: dict[str, Runtime], tmp_path: Path
) -> None:
    chosen = by_name[runtime]
    lowered = chosen.lower(two_ends, tmp_path / f"m{chosen.suffix}")
    assert two_ends.calibration is not None
    batch = two_ends.calibration.batch(2, 3)
    given = PortedModel(chosen.open(lowered.file), lowered.inputs, lowered.outputs)(batch)
    summed, scaled = two_ends.model(torch.from_numpy(batch["values"]), torch.from_numpy(batch["counts"]))
    np.testing.assert_allclose(given["summed"], summed.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(given["scaled"], scaled.detach().numpy(), atol=1e-5)
    if runtime == "tflite":
        assert lowered.inputs[1].adapters == (Cast(to="int32"),)
    if runtime == "executorch":
        assert [port.name for port in lowered.inputs] == ["input_0", "input_1"]
    if runtime == "onnx":
        assert [port.name for port in lowered.outputs] == ["summed", "scaled"]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_output_is_the_callers_own(runtime: str, lower: Lower, by_name: dict[str, Runtime], works: dict[str, Work]) -> None:
    lowered = lower(runtime, "cnn", None)
    split = works["cnn"].calibration
    assert split is not None
    model = PortedModel(by_name[runtime].open(lowered.file), lowered.inputs, lowered.outputs)
    first = model(split.batch(0, 1))["logits"]
    kept = first.copy()
    second = model(split.batch(1, 2))["logits"]
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_models_with_different_threads_live_side_by_side(
    runtime: str, lower: Lower, by_name: dict[str, Runtime], works: dict[str, Work]
) -> None:
    lowered = lower(runtime, "cnn", "minmax")
    split = works["cnn"].calibration
    assert split is not None
    models = [
        PortedModel(by_name[runtime].open(lowered.file, threads), lowered.inputs, lowered.outputs) for threads in (1, 2, 1)
    ]
    given = [model(split.batch(0, 1))["logits"] for _ in range(3) for model in models]
    for other in given[1:]:
        np.testing.assert_array_equal(other, given[0])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_lowering_leaves_the_process_as_it_was(
    runtime: str, by_name: dict[str, Runtime], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    work = standins.cnn(examples=4)
    weights = {name: tensor.clone() for name, tensor in work.model.state_dict().items()}
    before = dict(os.environ), os.getcwd(), torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()
    chosen = by_name[runtime]
    chosen.lower(work, tmp_path / f"f{chosen.suffix}")
    chosen.lower_int8(work, "full", "minmax", tmp_path / f"q{chosen.suffix}")
    after = dict(os.environ), os.getcwd(), torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()
    assert after == before
    assert all(torch.equal(tensor, weights[name]) for name, tensor in work.model.state_dict().items())
    assert not work.model.training
    assert capfd.readouterr() == ("", "")


def test_a_fresh_process_prints_nothing(lower: Lower) -> None:
    """Import noise comes once a process: torchao's, cpuinfo's, the delegate's."""
    files = [str(lower(runtime, "bert", "minmax").file) for runtime in RUNTIMES]
    code = (
        "import sys, pathlib\nfrom exporter import runtimes\n"
        "assert not {'torch', 'onnx', 'onnxruntime', 'executorch', 'litert_torch'} & set(sys.modules)\n"
        "for name, file in zip(runtimes.names(), sys.argv[1:]):\n    runtimes.get(name).open(pathlib.Path(file), 1)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
