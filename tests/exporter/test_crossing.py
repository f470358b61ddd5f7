"""What crosses a quantised cut: the stages' own int8 where they have it there, an adapter's where not, alike at both ends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgedeploy.artifact import Port
from edgedeploy.errors import InternalError
from exporter import crossing, runtimes
from exporter.lower import Lowering, open_chain
from exporter.partition import graph as graphs
from exporter.runtimes.base import Lowered, Work
from exporter.subjects.base import Split
from tests.exporter.runtimes import standins
from tests.exporter.test_partition import SIGNATURE, Skipping, example

RUNTIMES = ("onnx", "tflite", "executorch")
COUNT = 16


@pytest.fixture(scope="module")
def skipping() -> tuple[Work, tuple[graphs.Piece, graphs.Piece]]:
    """A residual cut open: two large tensors cross as int8, of one of which an addition and a convolution are made, and a
    small one does in float."""
    torch.manual_seed(0)
    model = Skipping().eval()
    rng = np.random.default_rng(0)
    raw: dict[str, Any] = {
        "image": rng.standard_normal((COUNT, 3, 16, 16), dtype=np.float32),
        "bias": rng.standard_normal((COUNT, 4), dtype=np.float32),
    }
    work = Work(model, SIGNATURE, "convolutional", "x86_64-vnni", Split(raw, np.zeros(COUNT, np.int64), dict))
    graph = graphs.trace(model, SIGNATURE, example())
    widest = max(graphs.positions(graph), key=lambda place: len(place.crossing))
    return work, graphs.cut(graph, widest)


def lowered(runtime: str, work: Work, pieces: tuple[graphs.Piece, ...], folder: Path) -> tuple[Lowered, ...]:
    chosen = runtimes.get(runtime)
    made = Lowering(chosen, work, pieces, quantised_crossing=True).lower_int8(chosen.schemes(work)[0], ("minmax",), folder)
    stages = made["minmax"]
    assert isinstance(stages, tuple), stages
    return stages


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_cut_residual_crosses_as_the_stages_own_int8(
    runtime: str, skipping: tuple[Work, tuple[graphs.Piece, graphs.Piece]], tmp_path: Path
) -> None:
    work, pieces = skipping
    stages = lowered(runtime, work, pieces, tmp_path)
    told = crossing.entries(stages)
    assert len(told) == 2
    own = "uint8" if runtime == "onnx" else "int8"
    for entry in told:
        assert (entry["dtype"], entry["leaves_by"], entry["arrives_by"]) == (own, "own int8", ["own int8"])
    assert crossing.unequal(stages) == []
    specs = {spec.name: spec.dtype for spec in crossing.tensors(stages, pieces)}
    assert sorted(specs.values()) == sorted(["float32", own, own])
    assert specs["bias"] == "float32"

    # the files themselves take and give those integers, with no adapter between
    chosen = runtimes.get(runtime)
    first, second = (chosen.open(stage.file) for stage in stages)
    given = first({stages[0].inputs[0].name: work.example()["image"]})
    assert {array.dtype.name for array in given.values()} == {own}
    sent = {port.source: given[port.name] for port in stages[0].outputs}
    out = second({port.name: sent.get(port.source, work.example()["bias"]) for port in stages[1].inputs})
    assert [array.dtype.name for array in out.values()] == ["float32"]

    chain = open_chain(chosen, stages, ["out"])
    assert work.calibration is not None
    gaps, largest = [], 0.0
    for i in range(COUNT):
        batch = work.calibration.batch(i, i + 1)
        with torch.no_grad():
            expected = work.model(*(torch.from_numpy(array) for array in batch.values())).numpy()
        gaps.append(np.abs(chain(batch)["out"] - expected).max())
        largest = max(largest, float(np.abs(expected).max()))
    assert max(gaps) < 0.05 * largest


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_is_float_at_the_cut_crosses_by_adapters(runtime: str, tmp_path: Path) -> None:
    work = standins.bert()
    work = replace(work, calibration=work.calibration.take(np.arange(4)) if work.calibration else None)
    graph = graphs.trace(work.model, work.signature, tuple(torch.from_numpy(array) for array in work.example().values()))
    place = next(each for each in graphs.positions(graph) if each.module.startswith("blocks.0.second"))
    pieces = graphs.cut(graph, place)
    chosen = runtimes.get(runtime)
    lowering = Lowering(chosen, work, pieces, quantised_crossing=True)
    # of the stand-in the crossing is too small to be worth it: as it would be of a large one
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exporter.partition.search.WORTH_QUANTISING", 1024)
        stages = lowering.lower_int8("linear", ("minmax",), tmp_path)["minmax"]
    assert isinstance(stages, tuple), stages
    (entry,) = crossing.entries(stages)
    assert (entry["leaves_by"], entry["arrives_by"]) == ("adapter", ["adapter"])
    assert [adapter.op for port in stages[0].outputs for adapter in port.adapters][-1:] == ["quantize"]
    assert crossing.unequal(stages) == []
    assert open_chain(chosen, stages, lowering.outputs)(work.example())["logits"].shape == (1, standins.CLASSES)


def test_ends_that_do_not_agree_are_told(skipping: tuple[Work, tuple[graphs.Piece, graphs.Piece]], tmp_path: Path) -> None:
    work, pieces = skipping
    first, second = lowered("onnx", work, pieces, tmp_path)
    moved = [
        port.model_copy(update={"quantisation": port.quantisation.model_copy(update={"zero_point": 7})})
        if port.quantisation is not None
        else port
        for port in second.inputs
    ]
    assert len(crossing.unequal((first, replace(second, inputs=tuple(moved))))) == 2


def test_what_travels_in_float_has_no_scale(skipping: tuple[Work, tuple[graphs.Piece, graphs.Piece]]) -> None:
    work, _ = skipping
    port = Port(name="bias", source="bias", tensor=work.signature.inputs[1])
    with pytest.raises(InternalError, match="travels in float"):
        crossing.of_output(port)
