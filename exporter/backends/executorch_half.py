"""Half precision of an exported graph: what it computes in float32 it computes in float16, between float32 ends.

A module's own `.half()` is not enough: what it makes float32 itself (a mask cast with `.float()`) would then meet half.
Imports torch: only imported where a model is being lowered.
"""

from __future__ import annotations

from typing import Any

import torch

#: stay float32: their sums leave half's range (65,504), and a layer norm's epsilon (1e-12) is below its smallest number
_KEPT = (torch.ops.aten.layer_norm.default, torch.ops.aten.sum.dim_IntList, torch.ops.aten.mean.dim)

#: marks the casts put in here, which keep their type
_OURS = "edgedeploy_cast"


class Ends(torch.nn.Module):
    """A graph in half behind float32 inputs and outputs; integers pass as they are."""

    def __init__(self, inside: torch.nn.Module) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Float inputs are cast to half, half outputs to float32."""
        found = self.inside(*(_half(each) for each in given))
        outputs = (found,) if isinstance(found, torch.Tensor) else tuple(found)
        return tuple(each.float() if each.dtype is torch.float16 else each for each in outputs)


def to_half(graph_module: torch.fx.GraphModule) -> Ends:
    """The graph with its float32 constants and every `float32` among its arguments made float16, in place, behind its ends."""
    _keep(graph_module)
    for owner in graph_module.modules():
        for name, tensor in (*owner._parameters.items(), *owner._buffers.items()):
            if tensor is not None and tensor.dtype is torch.float32:
                half = tensor.detach().half()
                if name in owner._parameters:
                    owner._parameters[name] = torch.nn.Parameter(half, requires_grad=False)
                else:
                    owner._buffers[name] = half
        # constants that export lifted out of the code are plain attributes
        for name, value in list(vars(owner).items()):
            if isinstance(value, torch.Tensor) and value.dtype is torch.float32:
                setattr(owner, name, value.half())
    for node in graph_module.graph.nodes:
        if node.meta.get(_OURS) is None:
            node.args = _dtypes_to_half(node.args)
            node.kwargs = _dtypes_to_half(node.kwargs)
    graph_module.recompile()
    return Ends(graph_module)


def _keep(graph_module: torch.fx.GraphModule) -> None:
    """Casts around the operators that stay float32: on what they read, constants too, and on what they give."""
    graph = graph_module.graph
    for node in [node for node in graph.nodes if node.target in _KEPT]:
        if not isinstance(node.meta.get("val"), torch.Tensor) or node.meta["val"].dtype is not torch.float32:
            continue
        with graph.inserting_before(node):
            for given in node.all_input_nodes:
                if isinstance(given.meta.get("val"), torch.Tensor) or given.op == "get_attr":
                    node.replace_input_with(given, _cast(graph, given, torch.float32))
        with graph.inserting_after(node):
            back = _cast(graph, node, torch.float16)
        node.replace_all_uses_with(back, delete_user_cb=lambda user, back=back: user is not back)


def _cast(graph: torch.fx.Graph, given: torch.fx.Node, dtype: torch.dtype) -> torch.fx.Node:
    node = graph.call_function(torch.ops.aten.to.dtype, (given, dtype))
    node.meta[_OURS] = True
    return node


def _half(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.half() if tensor.dtype is torch.float32 else tensor


def _dtypes_to_half(arguments: Any) -> Any:
    return torch.fx.node.map_aggregate(arguments, lambda each: torch.float16 if each is torch.float32 else each)
