"""What stays of a pruned model: which channels of which module. The one code that cuts, when pruning and when loading.

A pruned model has other shapes than its skeleton, so its weight file carries this record. It comes from a file and is
trusted as such: names are looked up, never resolved, and every index is checked before anything is cut.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from edgedeploy.errors import UserError

VERSION = 1
#: attributes in which models keep how many attention heads they have
HEAD_ATTRIBUTES = ("heads", "num_heads", "n_heads", "num_attention_heads")
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
AXES = ("outputs", "inputs")


@dataclass(frozen=True)
class Heads:
    """Attention heads that stay: `count` in the module's `attribute`."""

    attribute: str
    count: int


@dataclass(frozen=True)
class Record:
    """kept: module name -> axis ("outputs", "inputs") -> the indices that stay, rising. heads: by attention module."""

    kept: Mapping[str, Mapping[str, tuple[int, ...]]]
    heads: Mapping[str, Heads] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For a weight file's metadata."""
        return {
            "version": VERSION,
            "kept": {name: {axis: list(index) for axis, index in axes.items()} for name, axes in self.kept.items()},
            "heads": {name: [heads.attribute, heads.count] for name, heads in self.heads.items()},
        }


def read_record(content: Any, what: str) -> Record:
    """The record in a weight file's metadata. Raises UserError, naming `what` it was read from, where it is none."""
    try:
        if content["version"] != VERSION:
            raise ValueError(f"version {content['version']!r}")
        kept = {
            _name(module): {_axis(axis): _indices(index) for axis, index in axes.items()}
            for module, axes in content["kept"].items()
        }
        heads = {_name(module): _heads(value) for module, value in content["heads"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{what} does not say what was pruned ({type(error).__name__}: {error}); remove it and prune anew"
        ) from error
    return Record(kept, heads)


def _name(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 500:
        raise ValueError("a module's name is a short string")
    return value


def _axis(value: Any) -> str:
    if value not in AXES:
        raise ValueError(f"axis {value!r}")
    return str(value)


def _indices(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not value or any(type(i) is not int for i in value):
        raise ValueError("indices are whole numbers, at least one")
    if value[0] < 0 or any(a >= b for a, b in itertools.pairwise(value)):
        raise ValueError("indices rise from 0")
    return tuple(value)


def _heads(value: Any) -> Heads:
    attribute, count = value
    if attribute not in HEAD_ATTRIBUTES or type(count) is not int or count < 1:
        raise ValueError(f"heads {value!r}")
    return Heads(attribute, count)


def is_depthwise(module: nn.Module) -> bool:
    """A convolution of each channel by itself: its inputs and outputs are the same thing."""
    return isinstance(module, CONVOLUTIONS) and module.groups == module.in_channels == module.out_channels > 1


def width(module: nn.Module, axis: str) -> int:
    """How many channels a module has along an axis; 0 where it cannot be cut there.

    Exact types only: a subclass or a parametrised module may have more tensors than are known here.
    """
    if type(module) is nn.Linear:
        return module.out_features if axis == "outputs" else module.in_features
    if type(module) in NORMS:
        return int(module.num_features) if axis == "outputs" else 0  # type: ignore[arg-type]
    if type(module) in CONVOLUTIONS:
        assert isinstance(module, CONVOLUTIONS)
        if is_depthwise(module):
            return module.out_channels if axis == "outputs" else 0
        if module.groups == 1:
            return module.out_channels if axis == "outputs" else module.in_channels
    return 0


def cut(model: nn.Module, record: Record) -> None:
    """Leave of `model`, in place, what the record keeps. Raises UserError where the record is not of this model."""
    modules = dict(model.named_modules())
    _require_fit(modules, record)
    for name, axes in record.kept.items():
        for axis, kept in axes.items():
            _cut_one(modules[name], axis, torch.tensor(kept))
    for name, heads in record.heads.items():
        setattr(modules[name], heads.attribute, heads.count)


def silence(model: nn.Module, record: Record) -> None:
    """Set, in place, what the record would cut to zero: in eval mode a model so treated must answer as the cut one does.

    That is what pruning a channel means, so it tells a cut that is right from one that is merely of fitting shapes.
    """
    modules = dict(model.named_modules())
    _require_fit(modules, record)
    with torch.no_grad():
        for name, axes in record.kept.items():
            for axis, kept in axes.items():
                module = modules[name]
                gone = torch.ones(width(module, axis), dtype=torch.bool)
                gone[list(kept)] = False
                tensors = dict(module.named_parameters(recurse=False))
                if axis == "inputs":
                    tensors["weight"][:, gone] = 0
                else:
                    for tensor in tensors.values():
                        tensor[gone] = 0


def _require_fit(modules: Mapping[str, nn.Module], record: Record) -> None:
    for name, axes in record.kept.items():
        for axis, kept in axes.items():
            channels = width(modules[name], axis) if name in modules else 0
            if kept[-1] >= channels:
                raise UserError(f"what was pruned is of another model: {name!r} has {channels} {axis} that could be cut")
    for name, heads in record.heads.items():
        before = vars(modules[name]).get(heads.attribute) if name in modules else None
        if type(before) is not int or heads.count > before:
            raise UserError(f"what was pruned is of another model: {name!r} has {before} in {heads.attribute!r}")


def _cut_one(module: nn.Module, axis: str, kept: torch.Tensor) -> None:
    dim = 0 if axis == "outputs" else 1
    # biases, norms and running averages go along the outputs only
    names = ("weight",) if dim else ("weight", "bias", "running_mean", "running_var")
    for name in names:
        tensor = getattr(module, name, None)
        if tensor is None:
            continue
        rest = tensor.detach().index_select(dim, kept)
        setattr(module, name, nn.Parameter(rest, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else rest)
    sizes = {"in_channels", "out_channels", "groups"} if is_depthwise(module) else _size_names(module, axis)
    for size in sizes:
        setattr(module, size, len(kept))


def _size_names(module: nn.Module, axis: str) -> set[str]:
    if isinstance(module, nn.Linear):
        return {"out_features" if axis == "outputs" else "in_features"}
    if isinstance(module, CONVOLUTIONS):
        return {"out_channels" if axis == "outputs" else "in_channels"}
    return {"num_features"}
