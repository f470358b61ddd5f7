"""Which units stay: the most important for what they cost, until the model has the multiply-accumulates asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from exporter.training.prune_groups import Group, Inputs
from exporter.training.prune_record import width

Kept = list[tuple[Group, list[int]]]


@dataclass(frozen=True)
class Bounds:
    """How groups may be cut. multiple: of channels, since SIMD kernels work on so many at once; least: the share of
    its units that every group keeps, so that no layer is starved."""

    multiple: int = 8
    least: float = 0.125

    def count(self, group: Group, wanted: int) -> int:
        """The number of units to keep of a group where `wanted` would be worth keeping."""
        step = group.keep_multiple(self.multiple)
        floor = math.ceil(max(1.0, self.least * group.units) / step) * step
        return min(group.units, max(floor, round(wanted / step) * step))


def layer_macs(model: nn.Module, example: Inputs) -> dict[str, int]:
    """Multiply-accumulates of each convolution and linear layer for one example, by name. example: any batch."""
    found: dict[str, int] = {}
    handles = []

    def watch(name: str, module: nn.Module) -> None:
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            weight = module.get_parameter("weight")
            positions = output.numel() // weight.shape[0] // len(example[0])
            found[name] = found.get(name, 0) + positions * weight.numel()

        handles.append(module.register_forward_hook(hook))

    for name, module in model.named_modules():
        if width(module, "outputs") and module.get_parameter("weight").ndim > 1:
            watch(name, module)
    try:
        with torch.no_grad():
            model(*example)
    finally:
        for handle in handles:
            handle.remove()
    return found


def select(
    model: nn.Module, groups: Sequence[Group], scores: Sequence[Tensor], macs: Mapping[str, int], share: float, bounds: Bounds
) -> Kept:
    """The units to keep, so that the layers in `macs` need at most `share` (0..1) of their multiply-accumulates.

    scores: importance per group, [units]. All units of all groups are ranked together by importance per
    multiply-accumulate. Where the bounds do not allow so small a model, the smallest that they do.
    """
    worth = [score / max(1e-9, _unit_macs(model, group, macs)) for group, score in zip(groups, scores, strict=True)]
    ordered = [torch.argsort(each, descending=True, stable=True) for each in worth]
    allowed = share * sum(macs.values())

    def kept_above(threshold: float) -> Kept:
        made = []
        for group, value, order in zip(groups, worth, ordered, strict=True):
            count = bounds.count(group, int((value > threshold).sum()))
            made.append((group, sorted(order[:count].tolist())))
        return made

    # the larger the threshold, the smaller the model
    candidates = sorted(set(torch.cat(worth).tolist()))
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        if _macs_of(model, kept_above(candidates[middle]), macs) <= allowed:
            high = middle
        else:
            low = middle + 1
    return kept_above(candidates[low])


def _unit_macs(model: nn.Module, group: Group, macs: Mapping[str, int]) -> float:
    modules = dict(model.named_modules())
    total = sum(
        macs.get(member.module, 0) * len(member.index) / width(modules[member.module], member.axis) for member in group.members
    )
    return total / group.units


def _macs_of(model: nn.Module, kept: Kept, macs: Mapping[str, int]) -> float:
    modules = dict(model.named_modules())
    shares: dict[str, dict[str, float]] = {}
    for group, units in kept:
        stay = set(units)
        for member in group.members:
            gone = sum(unit not in stay for unit in member.unit)
            axes = shares.setdefault(member.module, {"outputs": 1.0, "inputs": 1.0})
            axes[member.axis] -= gone / width(modules[member.module], member.axis)
    return sum(each * math.prod(shares.get(name, {}).values()) for name, each in macs.items())
