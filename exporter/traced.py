"""A float model as torch.export traces it, once, and what it is by its content: its graph and every tensor in it."""

from __future__ import annotations

import copy
import hashlib
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from exporter.runtimes.quiet import quiet

if TYPE_CHECKING:
    import torch
    from torch import fx, nn

#: model -> what it was traced with (the shapes of its tensors and of the example, its mode), and the program
_PROGRAMS: weakref.WeakKeyDictionary[nn.Module, tuple[list[str], torch.export.ExportedProgram]] = weakref.WeakKeyDictionary()


def program(model: nn.Module, example: tuple[torch.Tensor, ...]) -> torch.export.ExportedProgram:
    """The model's program, traced with one example (batch 1); it shares the model's tensors. Raises what tracing raises.

    It is everybody's: who changes it takes `own_program`.
    """
    named = {**model.state_dict(keep_vars=True), **{str(i): tensor for i, tensor in enumerate(example)}}
    shapes = [f"{name} {tensor.dtype} {tuple(tensor.shape)}" for name, tensor in named.items()]
    shapes.append(f"training: {model.training}")
    known = _PROGRAMS.get(model)
    if known is not None and known[0] == shapes:
        return known[1]
    import torch

    with quiet():
        made = torch.export.export(model, example)
    _PROGRAMS[model] = shapes, made
    return made


def forget() -> None:
    """Trace every model anew from here on."""
    _PROGRAMS.clear()


def own_program(model: nn.Module, example: tuple[torch.Tensor, ...]) -> torch.export.ExportedProgram:
    """The same program with tensors of its own, to be lowered or quantised: that rewrites what it is given.

    Copying takes a twentieth of the time of tracing again.
    """
    return copy.deepcopy(program(model, example))


def digest(model: nn.Module, example: tuple[torch.Tensor, ...]) -> str | None:
    """sha256 (hex) of all that the model computes: operators, their arguments, constants and weights, by their names.

    None for a model that cannot be traced, or holds what has no digest. Nothing is executed but the trace.
    """
    from torch import fx

    if isinstance(model, fx.GraphModule):
        names = dict.fromkeys(str(node.target) for node in model.graph.nodes if node.op == "get_attr")
        return _digest(model, {name: _attribute(model, name) for name in names}, "")
    try:
        made = program(model, example)
    except Exception:  # whatever the model's code raises under tracing; the converters say so themselves
        return None
    return _digest(made.graph_module, {**made.state_dict, **made.constants}, str(made.graph_signature))


def _digest(module: fx.GraphModule, tensors: Mapping[str, Any], signature: str) -> str | None:
    import torch

    nodes = list(module.graph.nodes)
    if any(node.op == "call_module" for node in nodes) or next(iter(module.children()), None) is not None:
        return None  # a graph inside, which is not in the text of this one
    total = hashlib.sha256(signature.encode())
    for node in nodes:
        stack = [str(path) for path, _ in (node.meta.get("nn_module_stack") or {}).values()]
        total.update(f"{node.format_node()} {stack}\n".encode())
    for name, tensor in sorted(tensors.items()):
        if not isinstance(tensor, torch.Tensor):
            return None
        plain = tensor.detach().cpu().contiguous()
        total.update(f"{name} {plain.dtype} {tuple(plain.shape)}\0".encode())
        total.update(plain.numpy().data)
    return total.hexdigest()


def _attribute(module: nn.Module, target: str) -> Any:
    owner, _, name = target.rpartition(".")
    return getattr(module.get_submodule(owner), name, None)
