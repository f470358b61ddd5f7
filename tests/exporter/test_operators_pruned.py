"""pruned: where it stands in a recipe, and claims that do not hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edgedeploy.artifact import Coverage, HeavyOp
from edgedeploy.errors import UserError
from exporter import operators
from exporter.operators.base import Facts
from exporter.subjects.base import Weights


@pytest.mark.parametrize("asked", ["distilled+pruned+sptq", "sptq+pruned+distilled", "dsptq+pruned", "pruned+dsptq"])
def test_a_student_is_pruned_and_then_quantised(asked: str) -> None:
    draft, steps = operators.parse(asked)
    assert draft.transforms == ("distilled", "pruned")
    assert draft.precision == "int8-static"
    assert [step.name for step in steps] == ["distilled", "pruned", "sptq"]


@pytest.mark.parametrize("asked", ["pruned+pruned", "identity+pruned"])
def test_nonsense_is_refused(asked: str) -> None:
    with pytest.raises(UserError):
        operators.parse(asked)


def facts(**changed: Any) -> Facts:
    import torch

    heavy = (HeavyOp(name="conv", kind="Conv", macs=100, compute="fp32", fast=True),)
    good = Facts(
        original=Weights(torch.nn.Identity(), "a" * 64, "shipped"),
        made=Weights(torch.nn.Identity(), "b" * 64, "shipped"),
        original_parameters=20, made_parameters=10, original_macs=20, made_macs=10,
        coverage=Coverage(method="counted", macs=100, fast_share=1.0, int8_share=0.0, heavy=heavy),
        made_bytes=50, float_bytes=50, original_bytes=100, made_ms=1.0, original_ms=2.0,
    )  # fmt: skip
    return replace(good, **changed)


@pytest.mark.parametrize(
    ("changed", "broken"),
    [
        ({}, []),
        ({"made_parameters": 20}, ["fewer parameters after pruning"]),
        ({"made_macs": 20}, ["fewer MACs after pruning"]),
        # int8 made the file smaller, not pruning: zeros in dense shapes
        ({"made_bytes": 25, "float_bytes": 100}, ["smaller file after pruning"]),
        ({"made_ms": 2.0}, ["lower median after pruning"]),
        ({"made_ms": None, "original_ms": None}, []),
        ({"original_bytes": None}, []),
    ],
)
def test_claims_hold_and_break(changed: dict[str, Any], broken: list[str]) -> None:
    claims = operators.get("pruned").claims(facts(**changed))
    assert [claim.name for claim in claims if not claim.holds] == broken


def test_what_was_not_measured_is_not_claimed() -> None:
    claims = operators.get("pruned").claims(facts(made_ms=None, original_ms=None, original_bytes=None))
    assert [claim.name for claim in claims] == ["fewer parameters after pruning", "fewer MACs after pruning"]
