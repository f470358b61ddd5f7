"""Which operators of a partitioned ExecuTorch program the delegate took, and what they compute in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from edgedeploy.artifact import Coverage, HeavyOp
from exporter.backends import counting

if TYPE_CHECKING:
    import torch

METHOD = (
    "the edge program after partitioning: an operator is fast when it is inside a delegate's subgraph, and int8 when both "
    "its operands are dequantised just before it and its result is quantised right after, or the scale of its data is chosen "
    "as the model runs"
)
#: operator -> (kind, index of the data operand, index of the weight or right-hand operand)
_HEAVY = {
    "aten.convolution.default": ("convolution", 0, 1),
    "aten.linear.default": ("linear", 0, 1),
    "aten.addmm.default": ("linear", 1, 2),
    "aten.mm.default": ("linear", 0, 1),
    "aten.bmm.default": ("matrix product", 0, 1),
    "aten.matmul.default": ("matrix product", 0, 1),
}
#: what XNNPACK fuses into the operator before it, so that the quantisation comes after them
_FUSED = ("aten.hardtanh.default", "aten.relu.default", "aten.clamp.default")
#: plumbing, not operators
_PLUMBING = ("getitem", "executorch_call_delegate")


def of(program: torch.export.ExportedProgram) -> Coverage:
    """The coverage of an edge program, partitioned but not yet turned into an ExecuTorch program."""
    module = program.graph_module
    inside = [graph for _, graph in _delegated(module)]
    heavy = [op for graph in inside for op in _heavy(graph, fast=True)]
    heavy += _heavy(module.graph, fast=False)
    left = Counter(
        _name(node).removeprefix("aten.").removeprefix("dim_order_ops.").removesuffix(".default")
        for node in module.graph.nodes
        if node.op == "call_function" and _name(node) not in _PLUMBING
    )
    return counting.coverage(METHOD, heavy, partitions=len(inside), off_backend=left)


def _delegated(module: torch.fx.GraphModule) -> Iterator[tuple[str, torch.fx.Graph]]:
    """The subgraphs that were lowered, as they were before."""
    for node in module.graph.nodes:
        if node.op == "get_attr":
            lowered = getattr(module, str(node.target), None)
            if lowered is not None and hasattr(lowered, "original_module"):
                yield node.name, lowered.original_module.graph


def _name(node: torch.fx.Node) -> str:
    return str(getattr(node.target, "__name__", node.target))


def _heavy(graph: torch.fx.Graph, *, fast: bool) -> list[HeavyOp]:
    found = []
    for node in graph.nodes:
        if node.op != "call_function" or _name(node) not in _HEAVY:
            continue
        kind, left, right = _HEAVY[_name(node)]
        data, weight = (list(_shape(node.args[index])) for index in (left, right))
        output = _shape(node)
        if kind == "convolution":
            transposed, groups = bool(node.args[6]), int(node.args[8])
            macs = counting.convolution(data if transposed else output, math.prod(weight[1:]))
            kind = "depthwise convolution" if groups > 1 and weight[1] == 1 else kind
        else:
            macs = counting.product(output, data[-1])
        found.append(HeavyOp(name=node.name[:300], kind=kind, macs=macs, compute=_compute(node, left, right), fast=fast))
    return found


def _shape(node: Any) -> tuple[int, ...]:
    return tuple(int(dim) for dim in node.meta["val"].shape)


def _compute(node: torch.fx.Node, left: int, right: int) -> Literal["fp32", "fp16", "int8"]:
    operands = all("dequantize_per" in _name(node.args[index]) for index in (left, right))  # type: ignore[arg-type]
    if operands and _dynamic(node.args[left]):
        return "int8"
    after = node
    while len(after.users) == 1 and _name(next(iter(after.users))) in _FUSED:
        after = next(iter(after.users))
    result = bool(after.users) and all(".quantize_per" in _name(user) for user in after.users)
    if operands and result:
        return "int8"
    return "fp16" if str(node.meta["val"].dtype) == "torch.float16" else "fp32"


def _dynamic(dequantise: Any) -> bool:
    """Whether the scale of a dequantisation comes from `choose_qparams`: found anew in every call."""
    scale = dequantise.args[1]
    return getattr(scale, "op", "") == "call_function" and "choose_qparams" in _name(scale.args[0])
