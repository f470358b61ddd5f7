"""Partition: every valid cut composes to the whole, the search is exact, and the bundles hold what was cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgedeploy import bundle, isa
from edgedeploy.errors import UserError
from edgedeploy.signature import Signature, TensorSpec
from exporter import runtimes
from exporter.export import Outcome, export
from exporter.made import Reference
from exporter.options import Options
from exporter.partition import graph as graphs
from exporter.partition import search
from exporter.partition.division import CutRequest, divide
from exporter.partition.search import Pair
from tests.exporter import tiny

RUNTIMES = ("onnx", "tflite", "executorch")


class Skipping(nn.Module):
    """Two inputs; a residual over a convolution, and the second input used only at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.middle = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Linear(8, 4)

    def forward(self, image: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        x = self.first(image)
        x = x + torch.relu(self.middle(x))
        out: torch.Tensor = self.last(x.mean((2, 3))) + bias
        return out


SIGNATURE = Signature(
    task="other", metric="none",
    inputs=(
        TensorSpec(name="image", dtype="float32", shape=(1, 3, 16, 16)),
        TensorSpec(name="bias", dtype="float32", shape=(1, 4)),
    ),
    outputs=(TensorSpec(name="out", dtype="float32", shape=(1, 4)),),
)  # fmt: skip


@pytest.fixture(scope="module")
def skipping() -> graphs.Graph:
    torch.manual_seed(0)
    return graphs.trace(Skipping().eval(), SIGNATURE, example())


def example() -> tuple[torch.Tensor, ...]:
    torch.manual_seed(1)
    return torch.randn(1, 3, 16, 16), torch.randn(1, 4)


def composed(pieces: tuple[graphs.Piece, graphs.Piece], given: dict[str, torch.Tensor]) -> torch.Tensor:
    tensors = dict(given)
    for piece in pieces:
        outputs = piece.model(*(tensors[spec.name] for spec in piece.inputs))
        for spec, output in zip(piece.outputs, outputs, strict=True):
            assert tuple(output.shape) == spec.shape
            tensors[spec.name] = output
    return tensors["out"]


def test_every_valid_cut_composes_to_the_whole(skipping: graphs.Graph) -> None:
    image, bias = example()
    places = graphs.positions(skipping)
    with torch.no_grad():
        whole = skipping.module(image, bias)
        for place in places:
            given = {"image": image, "bias": bias}
            assert torch.equal(composed(graphs.cut(skipping, place), given), whole), place.after
    # over the residual two tensors cross, and the second input goes to the second stage alone
    widest = max(places, key=lambda place: len(place.crossing))
    assert {spec.name for spec in widest.crossing} >= {"bias"}
    assert len(widest.crossing) == 3
    assert all(spec.name != "image" for place in places for spec in place.crossing)


def test_no_cut_tears_a_convolution_from_its_norm_and_activation(skipping: graphs.Graph) -> None:
    after = {place.after for place in graphs.positions(skipping)}
    kinds = {node.name: str(node.target) for node in skipping.computed}
    assert not any("batch_norm" in kinds[name] for name in after)
    assert not any("conv2d" in kinds[name] for name in after)
    assert any("relu" in kinds[name] for name in after)


def test_both_stages_have_work(skipping: graphs.Graph) -> None:
    total = sum(skipping.macs)
    for place in graphs.positions(skipping):
        assert 0 < place.macs_before < total


@pytest.mark.parametrize("pair", [Pair(), Pair(1, 100, 10_000, 0), Pair(1, 0.01, 1, 50), Pair(1, 10, 1, 0)])
def test_the_search_finds_the_least_of_all(skipping: graphs.Graph, pair: Pair) -> None:
    places = graphs.positions(skipping)
    profile = [1.0 + index % 3 for index in range(len(skipping.computed))]
    best = search.fastest(skipping, places, profile, pair, quantised=False)
    totals = [search.predict(skipping, place, profile, pair, quantised=False).total_ms for place in places]
    assert search.predict(skipping, best, profile, pair, quantised=False).total_ms == min(totals)


def test_a_fast_second_device_gets_more_and_a_slow_link_fewer_bytes(skipping: graphs.Graph) -> None:
    places = graphs.positions(skipping)
    profile = [1.0] * len(skipping.computed)
    strong = search.fastest(skipping, places, profile, Pair(1, 100, 1e9, 0), quantised=False)
    weak = search.fastest(skipping, places, profile, Pair(100, 1, 1e9, 0), quantised=False)
    assert strong.index < weak.index
    thin = search.fastest(skipping, places, profile, Pair(1, 1, 0.001, 0), quantised=False)
    assert thin.nbytes == min(place.nbytes for place in places)


def test_the_prediction_adds_up(skipping: graphs.Graph) -> None:
    place = graphs.positions(skipping)[0]
    profile = [2.0] * len(skipping.computed)
    found = search.predict(skipping, place, profile, Pair(2.0, 4.0, 8.0, 3.0), quantised=False)
    assert found.first_ms == pytest.approx((place.index + 1) * 2.0 / 2)
    assert found.second_ms == pytest.approx((len(profile) - place.index - 1) * 2.0 / 4)
    # 8 Mbit/s are 1000 bytes in a millisecond
    assert found.there_ms == pytest.approx(3.0 + place.nbytes / 1000)
    assert found.back_ms == pytest.approx(3.0 + 16 / 1000)
    large = TensorSpec(name="x", dtype="float32", shape=(1, 4096))
    small = TensorSpec(name="y", dtype="float32", shape=(1, 4))
    assert search.crossing_bytes((large, small), quantised=True) == 4096 + 16
    assert search.crossing_bytes((large, small), quantised=False) == 4 * 4096 + 16


def test_a_cut_by_name_is_after_the_module(skipping: graphs.Graph) -> None:
    torch.manual_seed(0)
    division = divide(Skipping().eval(), SIGNATURE, example(), CutRequest("first"), quantised=False)
    assert division.position.module.startswith("first")
    assert division.parameters["macs_share_first"] < 0.5


@pytest.mark.parametrize(
    ("where", "said"), [("nowhere", "no module or operator of that name"), ("first.0", "no valid cut is there")]
)
def test_a_cut_that_cannot_be_is_refused(where: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        divide(Skipping().eval(), SIGNATURE, example(), CutRequest(where), quantised=False)


@pytest.mark.parametrize("where", ["", "0", "1.5", "-0.2"])
def test_a_fraction_is_between_0_and_1(where: str) -> None:
    with pytest.raises(UserError, match="--cut"):
        CutRequest(where)


def test_a_pair_of_devices_makes_sense() -> None:
    with pytest.raises(UserError, match="above 0"):
        Pair(0.0, 1.0)


def test_a_model_without_a_cut_is_refused() -> None:
    signature = Signature(
        task="other", metric="none", inputs=(TensorSpec(name="x", dtype="float32", shape=(1, 4)),),
        outputs=(TensorSpec(name="y", dtype="float32", shape=(1, 4)),),
    )  # fmt: skip
    with pytest.raises(UserError, match="no place where it can be cut"):
        divide(nn.Linear(4, 4).eval(), signature, (torch.zeros(1, 4),), CutRequest(), quantised=False)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Outcome]]:
    out = tmp_path_factory.mktemp("cut")
    options = Options(isa.host_target(), calibration_samples=32, methods=("minmax", "entropy"), cut=CutRequest("features.2"))
    every = [runtimes.get(name) for name in runtimes.names()]
    return out, export([tiny.subject], ["partition", "sptq-partition", "distilled+partition+sptq"], every, out, options)


def test_partitioned_bundles_are_written_and_whole(exported: tuple[Path, list[Outcome]]) -> None:
    _, outcomes = exported
    assert [str(outcome.error) for outcome in outcomes if outcome.error] == []
    for outcome in outcomes:
        there = bundle.read(outcome.path)
        bundle.check_files(there)
        assert len(there.manifest.stages) == (1 if outcome.operator == "identity" else 2)
        assert all(claim.holds for claim in there.manifest.claims)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("operator", ["partition", "sptq-partition", "distilled+partition+sptq"])
def test_the_stages_run_one_after_the_other_as_the_manifest_says(
    exported: tuple[Path, list[Outcome]], operator: str, runtime: str
) -> None:
    out, _ = exported
    chosen = runtimes.get(runtime)
    there = bundle.read(out / "tiny" / operator / f"{runtime}-{chosen.backend}")
    manifest = there.manifest
    golden, expected = there.arrays("golden/inputs"), there.arrays("golden/expected")
    chain = Reference(there, None).chain(chosen)
    for case in range(len(golden["image"])):
        given = chain({"image": golden["image"][case : case + 1]})
        np.testing.assert_allclose(given["logits"][0], expected["logits"][case], atol=1e-5)
    (crossing,) = manifest.cut_tensors
    # 24 or 8 channels of 16 x 16; as int8 a quarter of the bytes
    channels = 8 if operator.startswith("distilled") else 24
    assert crossing.shape == (1, channels, 16, 16)
    own = "uint8" if runtime == "onnx" else "int8"
    assert crossing.dtype == ("float32" if operator == "partition" else own)
    if operator != "partition":
        (entry,) = manifest.recipe.parameters["crossing"]
        assert (entry["leaves_by"], entry["arrives_by"]) == ("own int8", ["own int8"])
        assert not any(port.adapters for port in (*manifest.stages[0].outputs, *manifest.stages[1].inputs))
    assert {port.source for port in manifest.stages[0].outputs} == {crossing.name}
    assert {port.source for port in manifest.stages[1].inputs} == {crossing.name}
    assert manifest.recipe.cut is not None
    assert manifest.recipe.parameters["cut"]["asked"] == "features.2"
    assert manifest.accuracy is not None
    assert manifest.accuracy.value > 0.95


def test_asking_the_same_again_keeps_the_bundle_and_another_cut_does_not(exported: tuple[Path, list[Outcome]]) -> None:
    out, _ = exported
    onnx = [runtimes.get("onnx")]
    same = Options(isa.host_target(), calibration_samples=32, cut=CutRequest("features.2"))
    assert [outcome.state for outcome in export([tiny.subject], ["partition"], onnx, out, same)] == ["kept", "kept"]
    other = Options(isa.host_target(), calibration_samples=32, cut=CutRequest("0.5"))
    refused = export([tiny.subject], ["partition"], onnx, out, other)[1]
    assert refused.error is not None
    assert "--force" in str(refused.error)
