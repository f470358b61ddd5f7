"""Recipes: canonical order, combinations that make no sense, and claims that do not hold."""

from __future__ import annotations

import pytest

from edgedeploy.artifact import Coverage, HeavyOp
from edgedeploy.errors import UserError
from exporter import operators
from exporter.operators.base import Facts
from exporter.subjects.base import Weights


@pytest.mark.parametrize("asked", ["dsptq", "distilled+sptq", "sptq+distilled"])
def test_the_order_typed_does_not_matter(asked: str) -> None:
    draft, steps = operators.parse(asked)
    assert draft.asked == asked
    assert draft.transforms == ("distilled",)
    assert draft.precision == "int8-static"
    assert [step.name for step in steps] == ["distilled", "sptq"]


@pytest.mark.parametrize(
    "asked", ["", "magic", "sptq+sptq", "dsptq+sptq", "identity+sptq", "distilled+distilled", "+", "sptq+"]
)
def test_nonsense_is_refused(asked: str) -> None:
    with pytest.raises(UserError):
        operators.parse(asked)


def facts(*, same: bool = False, int8: bool = True, smaller: bool = True, weights: str = "int8 per channel") -> Facts:
    import torch

    model = torch.nn.Identity()
    heavy = (HeavyOp(name="conv", kind="Conv", macs=100, compute="int8" if int8 else "fp32", fast=True),)
    made = 10 if smaller else 30
    return Facts(
        original=Weights(model, "a" * 64, "shipped"),
        made=Weights(model, ("a" if same else "b") * 64, "shipped"),
        original_parameters=20,
        made_parameters=made,
        original_macs=20,
        made_macs=made,
        coverage=Coverage(method="counted", macs=100, fast_share=1.0, int8_share=float(int8), heavy=heavy),
        scheme={"weights": weights},
    )


def broken(name: str, given: Facts) -> list[str]:
    return [claim.name for claim in operators.get(name).claims(given) if not claim.holds]


def test_claims_hold_and_break() -> None:
    assert broken("identity", facts(same=True)) == []
    assert broken("identity", facts()) == ["same weights"]
    assert broken("distilled", facts()) == []
    assert broken("distilled", facts(same=True)) == ["teacher and student"]
    assert broken("distilled", facts(smaller=False)) == ["fewer parameters", "fewer MACs"]
    assert broken("sptq", facts()) == []
    assert broken("sptq", facts(int8=False)) == ["int8 kernels"]
    assert broken("sptq", facts(weights="int8 per tensor")) == ["weights per channel"]


def test_what_stays_in_float_is_listed() -> None:
    claim = operators.get("sptq").claims(facts(int8=False))[0]
    assert "Conv conv (100 MACs)" in claim.detail
