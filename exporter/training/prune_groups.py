"""Which channels of a model go together: pruning one means cutting all layers that it runs through.

The dependency graph is torch-pruning's (G. Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023,
https://arxiv.org/abs/2301.12900). It knows shapes, not meaning: that three linears are attention, and how wide a head
is, it cannot see. So each group is tried: a third of it is cut from one copy of the model and set to zero in another,
and where these two do not answer alike the group is left whole.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgedeploy.errors import UserError
from exporter.runtimes.lowering import first_line
from exporter.runtimes.quiet import quiet
from exporter.training.prune_record import HEAD_ATTRIBUTES, Heads, Record, cut, silence, width

Inputs = tuple[Tensor, ...]
#: outputs of a cut and a silenced model may differ by this share of the largest one: sums in another order
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Member:
    """One layer's part in a group: its channel `index[i]` along `axis` belongs to the group's unit `unit[i]`."""

    module: str
    axis: str
    index: tuple[int, ...]
    unit: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """Units (channels, feed-forward neurons or whole heads) that can be pruned one by one, each through all members.

    attention: the module and the attribute that say how many heads there are, where the units are heads.
    """

    name: str
    kind: str
    units: int
    members: tuple[Member, ...]
    attention: tuple[str, str] | None = None

    def keep_multiple(self, multiple: int) -> int:
        """Heads are wide as they are; of channels a multiple is kept, where there are that many."""
        return 1 if self.attention or self.units < multiple else multiple


def record_of(model: nn.Module, kept: Iterable[tuple[Group, Sequence[int]]]) -> Record:
    """The record that keeps these units of these groups, and everything of all others."""
    modules = dict(model.named_modules())
    removed: dict[str, dict[str, set[int]]] = {}
    heads = {}
    for group, units in kept:
        stay = set(units)
        if len(stay) == group.units:
            continue
        for member in group.members:
            gone = {i for i, unit in zip(member.index, member.unit, strict=True) if unit not in stay}
            removed.setdefault(member.module, {}).setdefault(member.axis, set()).update(gone)
        if group.attention is not None:
            heads[group.attention[0]] = Heads(group.attention[1], len(stay))
    return Record(
        {
            name: {axis: tuple(i for i in range(width(modules[name], axis)) if i not in gone) for axis, gone in axes.items()}
            for name, axes in removed.items()
        },
        heads,
    )


def find_groups(model: nn.Module, example: Inputs) -> list[Group]:
    """The groups of `model` that can be pruned, in the order of the modules. example: a real batch of its inputs.

    Raises UserError where the model cannot be traced, or has no such group.
    """
    traced = copy.deepcopy(model)
    # what is frozen has no gradient to be traced by
    traced.requires_grad_(True)
    try:
        with quiet(), torch.enable_grad():
            found = _dependencies(traced, example)
    except Exception as error:  # the tracer asserts and indexes
        raise UserError(
            f"the model cannot be pruned, its layers could not be traced ({first_line(error)}); give it as a plain "
            "nn.Module of convolutions and linear layers, or use an operator without pruning"
        ) from error
    groups = [group for group in found if _is_sound(model, group, example)]
    if not groups:
        raise UserError(
            "the model cannot be pruned: no channels between its convolutions or linear layers can be taken out without "
            "changing what the rest computes; use an operator without pruning"
        )
    order = {name: place for place, name in enumerate(dict(model.named_modules()))}
    return sorted(groups, key=lambda group: order[group.name])


def _dependencies(model: nn.Module, example: Inputs) -> list[Group]:
    import torch_pruning

    graph = torch_pruning.DependencyGraph().build_dependency(model, example, verbose=False)
    names = {module: name for name, module in model.named_modules()}
    groups = []
    for dependent in graph.get_all_groups():
        members = []
        for item in dependent:
            layer, plain = item.dep.target.module, names.get(item.dep.target.module)
            if plain is None:
                # an operator without weights, such as an addition or a reshape; a loose parameter cannot be followed
                if isinstance(layer, nn.Parameter):
                    break
                continue
            outputs = graph.is_out_channel_pruning_fn(item.dep.handler)
            if any(unit is None for unit in item.root_idxs) or not _has_weights(layer):
                if _has_weights(layer):
                    break
                continue
            axis = "outputs" if outputs else "inputs"
            # layer norms and others whose channels depend on each other, or that are not known: the group stays whole
            if not width(layer, axis):
                break
            members.append(Member(plain, axis, tuple(map(int, item.idxs)), tuple(map(int, item.root_idxs))))
        else:
            # with nobody to read them, they are the model's own outputs
            if any(member.axis == "inputs" for member in members):
                groups.append(_with_heads(model, tuple(members), len(dependent[0].idxs)))
    return groups


def _has_weights(module: nn.Module) -> bool:
    return next(module.parameters(recurse=False), None) is not None or next(module.buffers(recurse=False), None) is not None


def _with_heads(model: nn.Module, members: tuple[Member, ...], units: int) -> Group:
    """The group as it is, or in whole heads where it is the queries, keys and values of an attention module."""
    modules = dict(model.named_modules())
    makers = [member.module for member in members if member.axis == "outputs"]
    name = makers[0]
    parent = modules[name.rpartition(".")[0]]
    attribute = next((each for each in HEAD_ATTRIBUTES if type(vars(parent).get(each)) is int), None)
    if attribute is None or len(makers) < 3:
        linear = all(isinstance(modules[maker], nn.Linear) for maker in makers)
        return Group(name, "neurons" if linear else "channels", units, members)
    heads = int(vars(parent)[attribute])
    if heads < 1 or units % heads:
        return Group(name, "neurons", units, members)
    wide = units // heads
    whole = tuple(
        Member(member.module, member.axis, member.index, tuple(unit // wide for unit in member.unit)) for member in members
    )
    return Group(name, "heads", heads, whole, (name.rpartition(".")[0], attribute))


def _is_sound(model: nn.Module, group: Group, example: Inputs) -> bool:
    if group.units < 2:
        return False
    kept = [unit for unit in range(group.units) if unit % 3 != 1]
    return answers_alike(model, record_of(model, [(group, kept)]), example)


def answers_alike(model: nn.Module, record: Record, example: Inputs) -> bool:
    """Whether the model cut by the record answers as one where the same channels are zero, in eval mode."""
    smaller, zeroed = copy.deepcopy(model).eval(), copy.deepcopy(model).eval()
    cut(smaller, record)
    silence(zeroed, record)
    with torch.no_grad():
        expected = _outputs(zeroed, example)
        try:
            found = _outputs(smaller, example)
        except (RuntimeError, ValueError, TypeError, IndexError, AssertionError):
            return False  # a shape that is written down somewhere
    return all(
        a.shape == b.shape and bool((a - b).abs().max() <= TOLERANCE * max(1e-6, float(b.abs().max())))
        for a, b in zip(found, expected, strict=True)
    )


def _outputs(model: nn.Module, example: Inputs) -> tuple[Tensor, ...]:
    given = model(*example)
    if isinstance(given, Mapping):
        given = tuple(given.values())
    return (given,) if isinstance(given, Tensor) else tuple(given)
