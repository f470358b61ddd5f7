"""A plan, and a look at a link, that idle before each call, as who waits for another device does."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.device_runner.native import far
from tests.device_runner.native.far import Served
from tests.device_runner.native.support import Edgebench, image_plan, limits, read_samples

REST_MS = 3


def test_between_two_calls_it_idles_and_no_sample_has_that_in_it(edgebench: Edgebench, models: Path, tmp_path: Path) -> None:
    plan = image_plan(tmp_path, models, "onnx", steady=limits(12, 12), rest_us=REST_MS * 1000)
    ran = edgebench.run(tmp_path, plan).done()
    samples = read_samples(tmp_path).steady
    assert len(samples) == ran["steady"]["count"] == 12
    ends = [start + elapsed for start, elapsed in samples[:-1]]
    rests = [start - end for end, (start, _) in zip(ends, samples[1:], strict=True)]
    assert min(rests) >= REST_MS * 1e6
    spent = sum(elapsed for _, elapsed in samples)
    assert ran["steady"]["elapsed_ns"] - spent >= 12 * REST_MS * 1e6


def test_a_look_at_a_link_idles_before_each_echo_and_each_transfer(edgebench: Edgebench, tmp_path: Path) -> None:
    near, far_directory = tmp_path / "near", tmp_path / "far"
    near.mkdir()
    far_directory.mkdir()
    far.put_token(near)
    served = Served(edgebench, far_directory, {"protocol": 1, "runtime": "onnx", "serve": {}})
    try:
        asked = {"protocol": 1, "far": served.far(), "echoes": 5, "bytes": 1000, "rounds": 2, "rest_us": 20_000}
        (near / "link.json").write_text(json.dumps(asked))
        begun = time.monotonic()
        ran = edgebench.call("--link", near / "link.json")
        took = time.monotonic() - begun
    finally:
        served.close()
    assert ran.code == 0, ran.events
    assert took >= (5 + 2 * 2) * 0.020
    assert len(ran["link"]["echo_ns"]) == 5


@pytest.mark.parametrize(
    ("more", "why"),
    [({"rest_us": 10, "streams": 2}, "rest_us"), ({"rest_us": 60_000_001}, "rest_us"), ({"rest_us": -1}, "rest_us")],
)
def test_a_rest_that_cannot_be_is_refused(
    edgebench: Edgebench, models: Path, tmp_path: Path, more: dict[str, int], why: str
) -> None:  # fmt: skip
    ran = edgebench.run(tmp_path, image_plan(tmp_path, models, "onnx", **more))
    assert ran.code == 2
    assert ran["error"]["code"] == "plan_invalid"
    assert why in ran["error"]["message"]
