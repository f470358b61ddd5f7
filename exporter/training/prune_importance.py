"""How much a model would miss each unit of its groups: first-order Taylor or magnitude."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from exporter.training.prune_groups import Group, Inputs, Member

Importance = Literal["taylor", "magnitude"]
#: (model's inputs, right classes int64 [b])
Batch = tuple[Inputs, Tensor]


def taylor(
    model: nn.Module, groups: Sequence[Group], batches: Iterable[Batch], told: Callable[[int], None] = lambda done: None
) -> list[Tensor]:
    """For each group the mean over the batches of (d loss / d gate)^2 of each unit, float64 [units].

    A gate is a factor of 1 on everything a unit passes on; its gradient is what first-order Taylor expansion says
    the loss changes by when the unit is taken out (P. Molchanov et al., "Importance Estimation for Neural Network
    Pruning", CVPR 2019, https://arxiv.org/abs/1906.10771; for heads P. Michel et al., "Are Sixteen Heads Really
    Better than One?", 2019, https://arxiv.org/abs/1905.10650). The readers' weights w give it without a gate in the
    model: it is the sum of w * d loss / d w over all that read the unit. Comparable between groups.
    """
    # a copy, since what is frozen needs gradients too, and the model's own stay as they are
    judged = copy.deepcopy(model).eval().requires_grad_(True)
    modules = dict(judged.named_modules())
    sums = [torch.zeros(group.units, dtype=torch.float64) for group in groups]
    count = 0
    for inputs, labels in batches:
        judged.zero_grad(set_to_none=True)
        with torch.enable_grad():
            output = judged(*inputs)
            logits = output if isinstance(output, Tensor) else output[0]
            nn.functional.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
        for total, group in zip(sums, groups, strict=True):
            gate = torch.zeros(group.units, dtype=torch.float64)
            for member in group.members:
                if member.axis == "inputs":
                    weight = modules[member.module].get_parameter("weight")
                    assert weight.grad is not None  # every reader was reached: it is on the way to the output
                    passed = (weight.detach() * weight.grad).transpose(0, 1).flatten(1).sum(1)
                    _add(gate, member, passed)
            total += gate.square()
        count += 1
        told(count)
    return [total / max(1, count) for total in sums]


def magnitude(model: nn.Module, groups: Sequence[Group]) -> list[Tensor]:
    """For each group the squared norm of each unit's weights in all its layers, float64 [units].

    Divided by the group's mean, since layers differ in scale (group L2 of DepGraph, https://arxiv.org/abs/2301.12900).
    """
    modules = dict(model.named_modules())
    scores = []
    for group in groups:
        total = torch.zeros(group.units, dtype=torch.float64)
        for member in group.members:
            weight = modules[member.module].get_parameter("weight").detach()
            if weight.ndim < 2:
                continue  # a norm's factor is of another kind than a layer's weights
            _add(total, member, (weight if member.axis == "outputs" else weight.transpose(0, 1)).flatten(1).square().sum(1))
        scores.append(total / total.mean().clamp_min(1e-30))
    return scores


def _add(total: Tensor, member: Member, values: Tensor) -> None:
    total.index_add_(0, torch.tensor(member.unit), values.double()[list(member.index)])
