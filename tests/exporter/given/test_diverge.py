"""A parity failure of a .tflite as given names the operator that was damaged on purpose (test_keras.py: of a Keras model)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgedeploy import isa
from edgedeploy.errors import ClaimError
from exporter import diverge
from exporter.backends import tflite_coverage
from exporter.backends.tflite_xnnpack import TfliteXnnpack
from exporter.export import export
from exporter.given import tflite_compare
from exporter.given.load import load_given
from exporter.options import Options
from exporter.runtimes.base import CalibrationMethod, Lowered, Work
from exporter.runtimes.lowering import Feeds
from exporter.runtimes.tflite import TfliteRuntime
from tests.exporter import tiny
from tests.exporter.given.files import data_of, file_of

#: operators with a weight and a bias
HEAVY = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


def damage(model: Path, number: int) -> None:
    """Exchange the sign of the weights of the model's `number`-th heavy operator."""
    from ai_edge_litert.tools import flatbuffer_utils

    nodes, _ = tflite_coverage.read(model)
    weight = [node for node in nodes if node.kind in HEAVY][number].inputs[1]
    file: Any = flatbuffer_utils.read_model(str(model))
    buffer = file.buffers[file.subgraphs[0].tensors[weight].buffer]
    buffer.data = (-np.frombuffer(bytes(buffer.data), np.int8)).view(np.uint8)
    flatbuffer_utils.write_model(file, str(model))


class Damaging(TfliteRuntime):
    """LiteRT, one operator of whose int8 files has wrong weights."""

    def __init__(self, number: int) -> None:
        super().__init__(TfliteXnnpack())
        self._number = number

    def lower_int8(self, work: Work, scheme: str, method: CalibrationMethod, destination: Path) -> Lowered:
        lowered = super().lower_int8(work, scheme, method, destination)
        damage(lowered.file, self._number)
        return lowered


def float_name(model: Path, number: int) -> str:
    """What the result of the `number`-th heavy operator is called."""
    nodes, tensors = tflite_coverage.read(model)
    return tensors[[node for node in nodes if node.kind in HEAVY][number].outputs[0]].name


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The tiny CNN as a .tflite, and the same in int8."""
    folder = tmp_path_factory.mktemp("diverge")
    return file_of("tflite", folder), file_of("tflite", folder, "int8-static")


def examples(count: int) -> list[tuple[Feeds, Feeds]]:
    some = tiny.split("evaluation")
    fed = [{"args_0": some.batch(i, i + 1)["image"]} for i in range(count)]
    return [(each, each) for each in fed]


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_the_damaged_operator_is_named(pair: tuple[Path, Path], tmp_path: Path, number: int) -> None:
    original, int8 = pair
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(int8.read_bytes())
    damage(damaged, number)
    said = tflite_compare.first_divergence(original, damaged, examples(2), diverge.QUANTISED_LIMIT)
    assert said.startswith("they part at ")
    assert float_name(original, number)[:100] in said.partition("; up to")[0]
    # what comes before it, its own input's transposition at least, is as it should be
    assert "; up to " in said


def test_what_is_only_quantised_parts_nowhere(pair: tuple[Path, Path]) -> None:
    said = tflite_compare.first_divergence(*pair, examples(2), diverge.QUANTISED_LIMIT)
    assert said.startswith("they part at no operator")


def test_an_export_that_loses_parity_says_where(tmp_path: Path) -> None:
    file = file_of("tflite", tmp_path)
    subject = load_given(file, data_of(tmp_path, "args_0"))
    options = Options(isa.host_target(), calibration_samples=16, methods=("minmax",))
    identity, sptq = export([subject], ["sptq"], [Damaging(1)], tmp_path / "out", options)
    assert identity.error is None
    assert isinstance(sptq.error, ClaimError)
    assert f"they part at CONV_2D {float_name(file, 1)[:100]}" in str(sptq.error)
    assert not sptq.path.exists()
