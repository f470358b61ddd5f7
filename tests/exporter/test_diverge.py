"""A parity failure names the operator: a runtime that damages one layer on the way is found out."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edgedeploy import isa
from edgedeploy.errors import ClaimError
from exporter.backends.onnx_cpu import OnnxCpu
from exporter.export import export
from exporter.options import Options
from exporter.runtimes.base import CalibrationMethod, Lowered, Work
from exporter.runtimes.onnx import OnnxRuntime
from tests.exporter import tiny


class Damaging(OnnxRuntime):
    """ONNX Runtime, given another model than it was asked to lower: one layer's bias is wrong."""

    def __init__(self, layer: str) -> None:
        super().__init__(OnnxCpu())
        self._layer = layer

    def _damaged(self, work: Work) -> Work:
        model = copy.deepcopy(work.model)
        for name, parameter in model.named_parameters():
            if name == f"{self._layer}.bias":
                with torch.no_grad():
                    parameter.add_(torch.linspace(-40, 40, parameter.numel()))
        return replace(work, model=model)

    def lower(self, work: Work, destination: Path) -> Lowered:
        return super().lower(self._damaged(work), destination)

    def lower_int8(self, work: Work, scheme: str, method: CalibrationMethod, destination: Path) -> Lowered:
        return super().lower_int8(self._damaged(work), scheme, method, destination)


@pytest.mark.parametrize(("layer", "module"), [("features.0", "features.2"), ("features.3", "features.5"), ("head", None)])
def test_the_damaged_layer_is_named(tmp_path: Path, layer: str, module: str | None) -> None:
    options = Options(isa.host_target(), calibration_samples=16)
    outcome = export([tiny.subject], [], [Damaging(layer)], tmp_path, options)[0]
    assert isinstance(outcome.error, ClaimError)
    # the activation after the layer, since no cut goes between the two
    assert ("at the end of the model" if module is None else f"in {module} ") in str(outcome.error)
    assert not outcome.path.exists()


def test_a_layer_lost_in_int8_is_named(tmp_path: Path) -> None:
    options = Options(isa.host_target(), calibration_samples=16, methods=("minmax",))

    class OnlyInt8(Damaging):
        def lower(self, work: Work, destination: Path) -> Lowered:
            return OnnxRuntime.lower(self, work, destination)

    outcome = export([tiny.subject], ["sptq"], [OnlyInt8("features.3")], tmp_path, options)[1]
    assert isinstance(outcome.error, ClaimError)
    assert "they part at" in str(outcome.error)
    assert "in features.5 " in str(outcome.error)
