"""The record of what was pruned: it cuts right, and a hostile one is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from edgedeploy.errors import UserError
from exporter.training.prune_groups import Inputs, answers_alike
from exporter.training.prune_record import Heads, Record, cut, read_record, silence
from tests.exporter.training import prunable

GOOD: dict[str, Any] = {"version": 1, "kept": {"first": {"outputs": [0, 2]}, "second": {"inputs": [0, 2]}}, "heads": {}}


def small() -> nn.Module:
    net = nn.Sequential()
    net.add_module("first", nn.Linear(4, 3))
    net.add_module("second", nn.Linear(3, 2))
    return net


def with_(**changed: Any) -> dict[str, Any]:
    return {**copy.deepcopy(GOOD), **changed}


@pytest.mark.parametrize(
    "content",
    [
        None, [], "x", {}, with_(version=2), with_(kept=[1]), with_(kept={"first": {"weights": [0]}}),
        with_(kept={"first": {"outputs": []}}), with_(kept={"first": {"outputs": [0, 0]}}),
        with_(kept={"first": {"outputs": [-1, 0]}}), with_(kept={"first": {"outputs": [2, 1]}}),
        with_(kept={"first": {"outputs": [True]}}), with_(kept={"first": {"outputs": ["0"]}}),
        with_(kept={"first": {"outputs": [0.0]}}), with_(kept={"first": {"outputs": 10**9}}),
        with_(kept={"n" * 501: {"outputs": [0]}}), with_(heads={"first": ["__class__", 1]}),
        with_(heads={"first": ["heads", 0]}), with_(heads={"first": ["heads", True]}), with_(heads={"first": "heads"}),
        with_(heads={"first": ["heads"]}), with_(heads=None),
    ],
)  # fmt: skip
def test_what_is_no_record_is_refused(content: Any) -> None:
    with pytest.raises(UserError, match="prune anew"):
        read_record(content, "the file")


@pytest.mark.parametrize(
    ("kept", "heads"),
    [
        ({"third": {"outputs": [0]}}, {}), ({"first": {"outputs": [0, 3]}}, {}), ({"first": {"outputs": [10**12]}}, {}),
        ({"first.weight": {"outputs": [0]}}, {}), ({"": {"outputs": [0]}}, {}), ({}, {"first": ["heads", 1]}),
        ({}, {"nowhere": ["heads", 1]}),
    ],
)  # fmt: skip
def test_a_record_of_another_model_is_refused_and_nothing_is_cut(kept: dict[str, Any], heads: dict[str, Any]) -> None:
    model = small()
    record = read_record(with_(kept={**GOOD["kept"], **kept}, heads=heads), "the file")
    for change in (cut, silence):
        with pytest.raises(UserError, match="another model"):
            change(model, record)
    assert model.get_submodule("first").get_parameter("weight").shape == (3, 4)


def test_more_heads_than_there_were_are_refused() -> None:
    model, _ = prunable.minilm()
    with pytest.raises(UserError, match="another model"):
        cut(model, Record({}, {"layers.0.attention": Heads("heads", 5)}))


def test_a_record_survives_json_and_cuts_what_it_says() -> None:
    record = read_record(json.loads(json.dumps(read_record(GOOD, "the file").as_json())), "the file")
    model = small()
    first, second = (model.get_submodule(name).get_parameter("weight").clone() for name in ("first", "second"))
    cut(model, record)
    assert torch.equal(model.get_submodule("first").get_parameter("weight"), first[[0, 2]])
    assert torch.equal(model.get_submodule("second").get_parameter("weight"), second[:, [0, 2]])
    assert str(model.get_submodule("first")) == "Linear(in_features=4, out_features=2, bias=True)"
    assert str(model.get_submodule("second")) == "Linear(in_features=2, out_features=2, bias=True)"


def test_what_was_frozen_stays_frozen() -> None:
    model = small()
    model.get_submodule("first").requires_grad_(False)
    cut(model, read_record(GOOD, "the file"))
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert frozen == ["first.weight", "first.bias"]


HALF_HEAD = {f"layers.0.attention.{name}": {"outputs": range(4, 32)} for name in ("query", "key", "value")} | {
    "layers.0.attention.output": {"inputs": range(4, 32)}
}
WHOLE_HEAD = {name: {axis: range(8, 32) for axis in axes} for name, axes in HALF_HEAD.items()}
OTHER_READER = {"layers.0.up": {"outputs": range(24)}, "layers.0.down": {"inputs": range(1, 25)}}


def record(kept: dict[str, dict[str, range]], heads: dict[str, Heads] | None = None) -> Record:
    return Record({name: {axis: tuple(i) for axis, i in axes.items()} for name, axes in kept.items()}, heads or {})


@pytest.mark.parametrize(
    ("given", "alike"),
    [
        (record(WHOLE_HEAD, {"layers.0.attention": Heads("heads", 3)}), True),
        # the right shapes, but the heads' channels have moved
        (record(WHOLE_HEAD, {"layers.0.attention": Heads("heads", 2)}), False),
        (record(HALF_HEAD), False),
        (record(OTHER_READER), False),
    ],
)
def test_a_cut_that_is_only_right_in_its_shapes_is_told_from_one_that_is_right(given: Record, alike: bool) -> None:
    model, example = prunable.minilm()
    assert answers_alike(model, given, example) is alike


@pytest.mark.parametrize("make", [prunable.cnn, prunable.minilm])
def test_trying_a_cut_leaves_the_model_as_it_was(make: Callable[[], tuple[nn.Module, Inputs]]) -> None:
    from exporter.training.prune_groups import find_groups
    from exporter.training.weights import state_digest

    model, example = make()
    before = state_digest(model)
    assert find_groups(model, example)
    assert state_digest(model) == before
