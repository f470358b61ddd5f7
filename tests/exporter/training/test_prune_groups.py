"""Which channels are found to go together, what they are worth, and which are chosen."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgedeploy.errors import UserError
from exporter import macs
from exporter.training import prune_importance
from exporter.training.prune_groups import Group, Inputs, answers_alike, find_groups, record_of
from exporter.training.prune_record import cut
from exporter.training.prune_select import Bounds, layer_macs, select
from tests.exporter.training import prunable
from tests.exporter.training.prunable import Concatenated, Grouped, Mixing, seeded

Made = tuple[nn.Module, Inputs]
MODELS: dict[str, Callable[[], Made]] = {
    "cnn": prunable.cnn,
    "minilm": prunable.minilm,
    "concatenated": lambda: seeded(Concatenated, 3, 4, 4),
}


def named(made: Made) -> dict[str, tuple[str, int]]:
    return {group.name: (group.kind, group.units) for group in find_groups(*made)}


def test_depthwise_and_residual_channels_are_one_group() -> None:
    groups = {group.units: group for group in find_groups(*prunable.cnn())}
    assert sorted(groups) == [8, 16]
    # the stem, the block that adds to it, and what the next one reads depth by depth
    assert {member.module for member in groups[8].members} == {
        "stem", "blocks.0.depthwise", "blocks.0.norm", "blocks.0.pointwise", "blocks.1.depthwise", "blocks.1.norm",
        "blocks.1.pointwise",
    }  # fmt: skip


def test_a_transformer_gives_heads_and_neurons_but_not_what_a_layer_norm_sees() -> None:
    found = named(prunable.minilm())
    assert sorted(found.values()) == [("heads", 4), ("heads", 4), ("neurons", 48), ("neurons", 48)]


def test_heads_that_are_written_down_in_the_code_stay() -> None:
    assert set(named(prunable.bert_with_heads_written_down()).values()) == {("neurons", 64)}


def test_channels_of_a_grouped_convolution_and_before_a_softmax_stay() -> None:
    assert named(seeded(Grouped, 3, 8, 8)) == {"last": ("channels", 16)}
    assert named(seeded(Mixing, 6)) == {"second": ("neurons", 8)}


def test_channels_are_followed_through_a_concatenation_and_a_flattening() -> None:
    model, example = seeded(Concatenated, 3, 4, 4)
    groups = {group.name: group for group in find_groups(model, example)}
    assert {name: group.units for name, group in groups.items()} == {"left": 8, "right": 12, "both": 8}
    reader = next(member for member in groups["right"].members if member.module == "both")
    assert (reader.axis, reader.index[0], reader.unit[0]) == ("inputs", 8, 0)
    flat = next(member for member in groups["both"].members if member.module == "head")
    assert len(flat.index) == 8 * 16
    kept = [(groups["left"], [1, 5]), (groups["right"], [0, 11]), (groups["both"], [2, 3, 7])]
    assert answers_alike(model, record_of(model, kept), example)


@pytest.mark.parametrize("make", [lambda: nn.Linear(6, 4), lambda: nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 4))])
def test_a_model_without_anything_between_is_refused(make: Callable[[], nn.Module]) -> None:
    with pytest.raises(UserError, match="cannot be pruned"):
        find_groups(*seeded(make, 6))


def test_a_model_that_fails_while_it_is_traced_is_refused_in_a_sentence() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("no such thing")

    with pytest.raises(UserError, match="no such thing"):
        find_groups(*seeded(Broken, 6))


class Gated(nn.Module):
    """The neurons of `first` behind gates, to take the gates' gradient itself."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(6, 8), nn.Linear(8, 4)
        self.gate: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x).relu()
        head: Tensor = self.head(hidden if self.gate is None else hidden * self.gate)
        return head


def test_taylor_importance_is_the_square_of_the_gates_gradient() -> None:
    model, example = seeded(Gated, 6)
    (group,) = find_groups(model, example)
    batches = [((torch.randn(5, 6),), torch.tensor([0, 1, 2, 3, 0])) for _ in range(3)]
    (found,) = prune_importance.taylor(model, [group], batches)
    expected = torch.zeros(8)
    assert isinstance(model, Gated)
    for (x,), labels in batches:
        model.gate = torch.ones(8, requires_grad=True)
        (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(model(x), labels), model.gate)
        expected += gradient.square() / 3
    model.gate = None
    assert torch.allclose(found.float(), expected, rtol=1e-4)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_what_nobody_reads_is_worth_nothing_and_what_is_small_little() -> None:
    model, example = seeded(Gated, 6)
    with torch.no_grad():
        model.get_submodule("head").get_parameter("weight")[:, 3] = 0
        for parameter in (model.get_submodule("first").get_parameter("weight"),):
            parameter[5] *= 1e-3
        model.get_submodule("head").get_parameter("weight")[:, 5] *= 1e-3
    (group,) = find_groups(model, example)
    (by_gradient,) = prune_importance.taylor(model, [group], [((torch.randn(9, 6),), torch.arange(9) % 4)])
    assert by_gradient[3] == 0
    (by_size,) = prune_importance.magnitude(model, [group])
    assert int(by_size.argmin()) == 5
    assert float(by_size.mean()) == pytest.approx(1)


def scored(model: nn.Module, example: Inputs) -> tuple[list[Group], list[Tensor]]:
    groups = find_groups(model, example)
    rng = torch.Generator().manual_seed(1)
    return groups, [torch.rand(group.units, generator=rng, dtype=torch.float64) for group in groups]


@pytest.mark.parametrize("share", [0.9, 0.7, 0.5])
@pytest.mark.parametrize("name", MODELS)
def test_the_multiply_accumulates_asked_for_are_kept_to(name: str, share: float) -> None:
    model, example = MODELS[name]()
    groups, scores = scored(model, example)
    before = layer_macs(model, example)
    kept = select(model, groups, scores, before, share, Bounds(multiple=1, least=0.0))
    smaller = copy.deepcopy(model)
    cut(smaller, record_of(model, kept))
    after = layer_macs(smaller, example)
    assert sum(after.values()) <= share * sum(before.values())
    # no more goes than must: the groups here are small, so one unit is a large step
    assert sum(after.values()) >= (share - 0.2) * sum(before.values())
    one = tuple(x[:1] for x in example)
    assert macs.count(smaller, one) - sum(after.values()) <= macs.count(model, one) - sum(before.values())
    assert answers_alike(model, record_of(model, kept), example)


def test_layers_multiply_accumulates_are_those_of_the_flop_counter() -> None:
    for made in (prunable.cnn(), seeded(Concatenated, 3, 4, 4)):
        model, example = made
        assert sum(layer_macs(model, example).values()) == macs.count(model, tuple(x[:1] for x in example))


def test_multiples_and_the_least_share_are_kept() -> None:
    model, example = prunable.minilm()
    groups, scores = scored(model, example)
    kept = select(model, groups, scores, layer_macs(model, example), 0.0, Bounds(multiple=16, least=0.4))
    # nothing is worth keeping at 0: what is left are the floors, 40 % of 48 rounded up to 16s, and 40 % of 4 heads
    assert sorted(len(units) for _, units in kept) == [2, 2, 32, 32]


def test_the_most_important_units_stay() -> None:
    model, example = seeded(Gated, 6)
    (group,) = find_groups(model, example)
    scores = [torch.tensor([1.0, 8, 2, 7, 3, 6, 4, 5], dtype=torch.float64)]
    ((_, units),) = select(model, [group], scores, layer_macs(model, example), 0.5, Bounds(multiple=1))
    assert units == [1, 3, 5, 7]
