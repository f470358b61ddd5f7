"""The ends of a QDQ graph made its own integers: the quantisation of an input is taken off, and that of an output's reader."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

from exporter.runtimes.base import Int8End

_DTYPES: dict[int, Literal["int8", "uint8"]] = {2: "uint8", 3: "int8"}


def strip(file: Path, arriving: Mapping[str, Int8End], leaving: Collection[str]) -> dict[str, Int8End]:
    """Rewrite the file so that these ends are integers; returns those that could be, by the file's names.

    An input can where all that reads it quantises it as it arrives, an output where it is what a dequantisation gives.
    """
    import onnx

    model = onnx.load(str(file))
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    own: dict[str, Int8End] = {}
    for info in graph.input:
        if info.name in arriving and _take_quantised(graph, info, arriving[info.name], constants):
            own[info.name] = arriving[info.name]
    for info in graph.output:
        end = _give_quantised(graph, info, constants) if info.name in leaving else None
        if end is not None:
            own[info.name] = end
    if own:
        onnx.checker.check_model(model)
        onnx.save(model, str(file))
    return own


def _take_quantised(graph: Any, info: Any, arriving: Int8End, constants: Mapping[str, Any]) -> bool:
    readers = [node for node in graph.node if info.name in node.input]
    if info.name in {output.name for output in graph.output} or not readers:
        return False
    if any(node.op_type != "QuantizeLinear" or _end(node, constants) != arriving for node in readers):
        return False
    quantised = {node.output[0] for node in readers}
    if quantised & {output.name for output in graph.output}:
        return False
    for node in readers:
        graph.node.remove(node)
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name in quantised:
                node.input[place] = info.name
    info.type.tensor_type.elem_type = _number(arriving)
    return True


def _give_quantised(graph: Any, info: Any, constants: Mapping[str, Any]) -> Int8End | None:
    last = next((node for node in graph.node if info.name in node.output), None)
    if last is None or last.op_type != "DequantizeLinear":
        return None
    end = _end(last, constants)
    makers = {name for node in graph.node for name in node.output}
    if end is None or last.input[0] not in makers:
        return None
    # who reads it inside goes on reading it in float
    renamed = {last.input[0]: info.name, info.name: f"{info.name}/float"}
    if not any(info.name in node.input for node in graph.node):
        graph.node.remove(last)
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = renamed.get(name, name)
    info.type.tensor_type.elem_type = _number(end)
    return end


def _end(node: Any, constants: Mapping[str, Any]) -> Int8End | None:
    """What a QuantizeLinear makes or a DequantizeLinear takes; None where it is not of one constant scale, in 8 bits."""
    from onnx import numpy_helper

    found = [constants.get(name) for name in node.input[1:]]
    if len(found) != 2 or any(tensor is None for tensor in found):
        return None
    scale, zero = (numpy_helper.to_array(tensor) for tensor in found)
    dtype = _DTYPES.get(found[1].data_type)  # type: ignore[union-attr]
    if dtype is None or scale.size != 1 or zero.size != 1:
        return None
    return Int8End(dtype, float(scale.ravel()[0]), int(zero.ravel()[0]))


def _number(end: Int8End) -> int:
    return next(number for number, dtype in _DTYPES.items() if dtype == end.dtype)
