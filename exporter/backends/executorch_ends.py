"""The ends of a PT2E graph made its own int8: what quantises an input is taken off, and what dequantises an output.

Imports torch, torchao and executorch: only imported where a model is being lowered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch

from exporter.backends.executorch_graph import RangeObserver
from exporter.runtimes.base import Int8End

_QUANTIZE = torch.ops.quantized_decomposed.quantize_per_tensor.default
_DEQUANTIZE = torch.ops.quantized_decomposed.dequantize_per_tensor.default


def choose_arriving(prepared: torch.fx.GraphModule, arriving: Sequence[Int8End | None]) -> None:
    """Let the observers of these inputs, in order, give the scale that each arrives in."""
    inputs = [node for node in prepared.graph.nodes if node.op == "placeholder"]
    for node, end in zip(inputs, arriving, strict=True):
        for user in node.users if end is not None else ():
            observer = prepared.get_submodule(user.target) if user.op == "call_module" else None
            if isinstance(observer, RangeObserver):
                observer.given = end


def strip_ends(
    quantised: torch.fx.GraphModule, arriving: Sequence[Int8End | None], leaving: Sequence[bool]
) -> tuple[dict[int, Int8End], dict[int, Int8End]]:
    """Let inputs and outputs of a quantised module, in order, be its own int8: returns those that could be, by their place.

    An input can where all that reads it quantises it as it arrives, an output where it is what a dequantisation gives.
    """
    taken: dict[int, Int8End] = {}
    given: dict[int, Int8End] = {}
    if not any(arriving) and not any(leaving):
        return taken, given
    graph = quantised.graph
    for place, (node, end) in enumerate(zip([node for node in graph.nodes if node.op == "placeholder"], arriving, strict=True)):
        readers = list(node.users)
        if end is None or not readers or any(user.target is not _QUANTIZE or _end(user) != end for user in readers):
            continue
        for user in readers:
            user.replace_all_uses_with(node)
            graph.erase_node(user)
        taken[place] = end
    output = graph.output_node()
    results: list[Any] = list(cast(Sequence[Any], output.args[0]))
    for place, (node, wanted) in enumerate(zip(results, leaving, strict=True)):
        end = _end(node) if wanted and node.target is _DEQUANTIZE else None
        if end is not None and node.args[0].op == "call_function":
            results[place] = node.args[0]
            given[place] = end
    output.args = (tuple(results),)
    graph.eliminate_dead_code()
    quantised.recompile()
    return taken, given


def _end(node: torch.fx.Node) -> Int8End | None:
    """What a quantisation or dequantisation per tensor is to or from; None where it is not of a constant scale, in int8."""
    _, scale, zero_point, low, high, dtype = node.args
    if dtype is not torch.int8 or (low, high) != (-128, 127) or not isinstance(scale, float) or not isinstance(zero_point, int):
        return None
    return Int8End("int8", float(np.float32(scale)), zero_point)
