"""qat: where it stands in a recipe, and claims that do not hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from edgedeploy.artifact import Coverage, HeavyOp
from edgedeploy.errors import UserError
from exporter import operators
from exporter.operators.base import Facts
from exporter.subjects.base import Weights
from exporter.trained_ranges import Fingerprint, TrainedRange

RANGE = TrainedRange(-1.0, 1.0, Fingerprint(4, (0.0,) * 17))


@pytest.mark.parametrize("asked", ["distilled+qat", "qat+distilled", "qat+pruned+distilled"])
def test_what_is_trained_for_int8_is_the_smaller_model(asked: str) -> None:
    draft, steps = operators.parse(asked)
    assert draft.precision == "int8-static"
    assert draft.transforms[-1] == "qat"
    assert [step.name for step in steps][-1] == "qat"


@pytest.mark.parametrize("asked", ["qat+sptq", "qat+qat", "qat+fp16", "dsptq+qat", "qat+identity"])
def test_nonsense_is_refused(asked: str) -> None:
    with pytest.raises(UserError):
        operators.parse(asked)


def facts(**changed: Any) -> Facts:
    heavy = (HeavyOp(name="conv", kind="Conv", macs=100, compute="int8", fast=True),)
    source = "a" * 64
    made = Weights(torch.nn.Identity(), "b" * 64, "trained now", {"trained_from": source}, (RANGE,))
    good = Facts(
        original=Weights(torch.nn.Identity(), source, "shipped"), made=made,
        original_parameters=20, made_parameters=20, original_macs=20, made_macs=20,
        coverage=Coverage(method="counted", macs=100, fast_share=1.0, int8_share=1.0, heavy=heavy),
        scheme={"weights": "int8 per channel", "trained_share": 0.9, "trained_ranges": "9 of 10 tensors"},
    )  # fmt: skip
    return replace(good, **changed)


@pytest.mark.parametrize(
    ("changed", "broken"),
    [
        ({}, []),
        # the weights are those that training began with
        ({"made": Weights(torch.nn.Identity(), "a" * 64, "x", {"trained_from": "a" * 64}, (RANGE,))}, ["weights trained"]),
        ({"made": Weights(torch.nn.Identity(), "b" * 64, "x", {"trained_from": "a" * 64})}, ["weights trained"]),
        # calibrated like any other, the trained ranges lost on the way to the runtime
        ({"scheme": {"weights": "int8 per channel", "trained_share": 0.2}}, ["trained ranges"]),
        ({"scheme": {"weights": "int8 per channel"}}, ["trained ranges"]),
    ],
)
def test_claims_hold_and_break(changed: dict[str, Any], broken: list[str]) -> None:
    claims = operators.get("qat").claims(facts(**changed))
    assert [claim.name for claim in claims if not claim.holds] == broken
