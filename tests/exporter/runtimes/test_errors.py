"""What goes wrong is told in a sentence that names the runtime, and leaves no file behind."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgedeploy.errors import UserError
from exporter import runtimes
from exporter.runtimes.base import Runtime, Work
from exporter.runtimes.lowering import first_line
from tests.exporter.runtimes import standins
from tests.exporter.runtimes.conftest import RUNTIMES


class DataDependent(nn.Module):
    """Branches on a value: no graph holds it."""

    def forward(self, values: Tensor) -> Tensor:
        return values * 2 if bool(values.sum() > 0) else values


def small(model: nn.Module, outputs: tuple[int, ...] = (1, 4)) -> Work:
    values = np.random.default_rng(0).standard_normal((3, 4), dtype=np.float32)
    return standins.work(model, {"values": values}, (standins.spec("out", outputs),))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_model_that_cannot_be_expressed(runtime: str, by_name: dict[str, Runtime], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^{runtime} cannot express this model: .+") as caught:
        by_name[runtime].lower(small(DataDependent()), tmp_path / "m")
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_outputs_that_are_not_the_signatures(runtime: str, by_name: dict[str, Runtime], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"^{runtime}.*signature"):
        by_name[runtime].lower(small(nn.Linear(4, 3), outputs=(1, 4)), tmp_path / "m")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_int8_without_calibration_examples(runtime: str, by_name: dict[str, Runtime], tmp_path: Path) -> None:
    work = replace(small(nn.Linear(4, 4)), calibration=None)
    with pytest.raises(UserError, match="calibration examples"):
        by_name[runtime].lower_int8(work, "full", "minmax", tmp_path / "m")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_scheme_that_is_not_known(runtime: str, by_name: dict[str, Runtime], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{runtime} has no int8 scheme 'int3'.*full"):
        by_name[runtime].lower_int8(small(nn.Linear(4, 4)), "int3", "minmax", tmp_path / "m")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_file_that_is_not_a_model(runtime: str, by_name: dict[str, Runtime], tmp_path: Path) -> None:
    broken = tmp_path / f"broken{by_name[runtime].suffix}"
    broken.write_bytes(b"not a model at all" * 10)
    with pytest.raises(UserError, match=f"{runtime} cannot load broken"):
        by_name[runtime].open(broken)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_nan_in_the_calibration(runtime: str, by_name: dict[str, Runtime], tmp_path: Path) -> None:
    work = standins.work(nn.Linear(4, 4), {"values": np.full((2, 4), np.nan, np.float32)}, (standins.spec("out", (1, 4)),))
    with pytest.raises(UserError, match="not a number"):
        by_name[runtime].lower_int8(work, "full", "minmax", tmp_path / "m")


def test_the_registry_says_what_there_is() -> None:
    assert runtimes.names() == ("onnx", "tflite", "executorch")
    assert [runtimes.get(name).backend for name in runtimes.names()] == ["cpu", "xnnpack", "xnnpack"]
    assert runtimes.get("tflite", "xnnpack").name == "tflite"
    with pytest.raises(UserError, match=r"'tvm' is not known; choose one of onnx, tflite, executorch"):
        runtimes.get("tvm")
    with pytest.raises(UserError, match=r"onnx has no backend 'cuda'; it has cpu"):
        runtimes.get("onnx", "cuda")


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "executorch" else found(name))
    with pytest.raises(UserError, match=r"executorch needs executorch: pip install 'edgedeploy\[export\]'"):
        runtimes.get("executorch")
    assert runtimes.get("onnx").name == "onnx"


def test_the_first_line_that_says_something() -> None:
    assert first_line(ValueError("\n\n  the cause \nmore")) == "the cause"
    assert first_line(KeyError()) == "KeyError"
    assert len(first_line(ValueError("x" * 1000))) == 300


def test_grad_mode_survives_a_failure(by_name: dict[str, Runtime], tmp_path: Path) -> None:
    with pytest.raises(UserError):
        by_name["executorch"].lower(small(DataDependent()), tmp_path / "m")
    assert torch.is_grad_enabled()
