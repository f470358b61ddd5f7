"""One plan made two: who does what, and what crosses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from device_runner import plan
from device_runner.tiers.splitting import default_split, split, with_far
from device_runner.workload import Part, Product, Wire, Workload
from edgedeploy import bundle
from edgedeploy.artifact import Dequantize, Quantize
from edgedeploy.errors import UserError
from edgedeploy.record import Plan
from edgedeploy.signature import TensorSpec


def _workload(path: Path) -> Workload:
    return plan.from_bundle(bundle.read(path))


def _document(work: Workload, how: Plan | None = None) -> dict[str, Any]:
    return plan.document(work, how or Plan(), outputs=True)


def test_a_cut_model_is_split_at_its_cut(cut: Path) -> None:
    work = _workload(cut)
    assert default_split(work) == 1
    near, far = split(_document(work), work, 1, {"threads": 3, "serve": {}})
    assert near["model"] == "model.onnx"
    (stage,) = near["then"]
    crossing = {"dtype": "float32", "shape": [1, 16], "adapters": []}
    assert stage["inputs"] == [{"name": "0:t2", **crossing, "from": [0, 0]}]
    assert [end["name"] for end in stage["outputs"]] == ["0:logits"]
    assert far["model"] == "stage1.onnx"
    assert far["inputs"] == [{"name": "t2", **crossing, "link": 0}]
    assert far["threads"] == 3
    assert "then" not in far
    assert not {"cases", "warmup", "steady", "write_outputs"} & far.keys()
    assert with_far(near, {"port": 1})["then"][0]["far"] == {"port": 1}
    assert stage["far"] == {}, "the plan that was split is left"


def test_of_a_whole_model_the_input_is_sent(whole: Path) -> None:
    work = _workload(whole)
    assert default_split(work) == 0
    near, far = split(_document(work), work, 0, {})
    assert "model" not in near
    assert "then" not in near
    assert near["inputs"][0]["file"] == "inputs/0.bin"
    assert far["inputs"] == [{"name": "image", "dtype": "float32", "shape": [1, 64], "adapters": [], "link": 0}]
    assert with_far(near, {"port": 1})["far"] == {"port": 1}


def test_adapters_of_stored_ends_are_the_near_sides_and_what_crosses_is_what_the_model_takes(whole: Path) -> None:
    work = _workload(whole)
    feed, product = work.feeds[0], work.products[0]
    to_int8, to_float = (
        Quantize(op="quantize", to="int8", scale=0.1, zero_point=0),
        Dequantize(op="dequantize", scale=0.1, zero_point=0),
    )
    own = TensorSpec(name="image", dtype="int8", shape=(1, 64))
    given = TensorSpec(name="logits", dtype="int8", shape=(1, 8))
    part = Part(
        work.parts[0].model, work.parts[0].sha256, "model.onnx",
        (type(feed)(feed.tensor, feed.data, (to_int8,), feed.source, own),),
        (type(product)(product.tensor, (to_float,), product.expected, product.kept, product.source, given),),
    )  # fmt: skip
    quantised = Workload(work.artifact, (part,))
    near, far = split(_document(quantised), quantised, 0, {})
    assert [adapter["op"] for adapter in near["inputs"][0]["adapters"]] == ["quantize"]
    assert [adapter["op"] for adapter in near["outputs"][0]["adapters"]] == ["dequantize"]
    assert (far["inputs"][0]["dtype"], far["inputs"][0]["adapters"]) == ("int8", [])
    assert (far["outputs"][0]["dtype"], far["outputs"][0]["adapters"]) == ("int8", [])


def test_what_a_cut_did_to_a_tensor_the_far_side_undoes(cut: Path) -> None:
    work = _workload(cut)
    first, last = work.parts
    to_int8 = Quantize(op="quantize", to="int8", scale=0.1, zero_point=0)
    to_float = Dequantize(op="dequantize", scale=0.1, zero_point=0)
    travels = TensorSpec(name="t2", dtype="int8", shape=(1, 16))
    sent = Part(first.model, first.sha256, first.name, first.inputs, (Product(travels, (to_int8,), None, False, "t2"),))
    taken = Part(last.model, last.sha256, last.name, (Wire(travels, 0, 0, (to_float,)),), last.outputs)
    quantised = Workload(work.artifact, (sent, taken))
    near, far = split(_document(quantised), quantised, 1, {})
    assert near["outputs"][0]["adapters"][0]["op"] == "quantize"
    assert near["then"][0]["inputs"][0]["adapters"] == []
    assert near["then"][0]["inputs"][0]["dtype"] == "int8"
    assert far["inputs"][0]["adapters"][0]["op"] == "dequantize"


def test_several_far_stages_are_a_chain_of_their_own(cut: Path) -> None:
    work = _workload(cut)
    near, far = split(_document(work), work, 0, {})
    assert "model" not in near
    assert [stage["from"] for stage in far["then"][0]["inputs"]] == [[0, 0]]
    assert far["inputs"][0]["link"] == 0
    assert far["outputs"][0]["write"] is False


def test_what_cannot_be_split_is_refused(whole: Path, cut: Path) -> None:
    work = _workload(whole)
    with pytest.raises(UserError, match="cannot be cut"):
        split(_document(work), work, 1, {})
    with pytest.raises(UserError, match="throughput"):
        split(_document(work, Plan(streams=2)), work, 0, {})
