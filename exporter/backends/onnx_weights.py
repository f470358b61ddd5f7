"""Weights of an ONNX graph stored small: float16 or int8 per channel, made float32 again by operators in front of their use.

A Cast (and a Mul by the scales) of a constant is folded when a session is made, so the file is small and the timed call is
that of float32, at the price of a float copy in memory.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from exporter.backends import onnx_rewrites
from exporter.backends.rows import int8_channels

#: operator -> index of its weight
_WEIGHTS = {"Conv": 1, "ConvTranspose": 1, "MatMul": 1, "Gemm": 1}
#: other constants smaller than this stay float32: there is nothing to gain
_FEW = 1024
_LARGEST_HALF = float(np.finfo(np.float16).max)


def to_half(model: Any) -> int:
    """Weights of the heavy operators, tables and other large constants -> float16, in place. Returns how many.

    Rows of an embedding table are looked up in half and cast then, so that no float copy of the table is made.
    A constant with a value beyond half's range stays float32.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    weights = {name for name, _ in _weights(graph)}
    new: list[Any] = []
    halved: set[str] = set()
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT:
            continue
        array = numpy_helper.to_array(tensor)
        if (tensor.name not in weights and array.size < _FEW) or np.abs(array).max(initial=0) > _LARGEST_HALF:
            continue
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(array.astype(np.float16), f"{tensor.name}/half"))
        halved.add(tensor.name)
        new.append(
            helper.make_node("Cast", [f"{tensor.name}/half"], [tensor.name], f"{tensor.name}/cast", to=TensorProto.FLOAT)
        )
    for node in list(graph.node):
        if node.op_type == "Gather" and node.input[0] in halved:
            name, out = node.input[0], node.output[0]
            node.input[0], node.output[0] = f"{name}/half", f"{out}/half"
            new.append(helper.make_node("Cast", [f"{out}/half"], [out], f"{out}/cast", to=TensorProto.FLOAT))
    _put_first(graph, new)
    return len(halved)


def to_int8(model: Any) -> int:
    """Weights of the heavy operators -> int8 per output channel, embedding tables per row, in place. Returns how many weights.

    A MatMul's is dequantised by DequantizeLinear, which ONNX Runtime fuses with it into MatMulNBits: the weight stays int8
    in memory too, and the product was measured at 1.27 times the speed of float32. The others' are cast and multiplied:
    a DequantizeLinear is never folded, and in front of convolutions it took as long as they did.
    """
    from onnx import TensorProto, helper, numpy_helper

    onnx_rewrites.embeddings_to_int8(model)
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    channels = dict(_weights(graph))
    products = {node.input[1] for node in graph.node if node.op_type == "MatMul"}
    new: list[Any] = []
    for name, axis in channels.items():
        tensor = constants.get(name)
        if tensor is None or tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        ints, scales = int8_channels(numpy_helper.to_array(tensor), axis)
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(ints, f"{name}/int8"))
        if name in products:
            graph.initializer.append(numpy_helper.from_array(scales.ravel(), f"{name}/scales"))
            new.append(
                helper.make_node(
                    "DequantizeLinear", [f"{name}/int8", f"{name}/scales"], [name], f"{name}/dequantise", axis=axis
                )
            )
            continue
        graph.initializer.append(numpy_helper.from_array(scales, f"{name}/scales"))
        new += [
            helper.make_node("Cast", [f"{name}/int8"], [f"{name}/steps"], f"{name}/cast", to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}/steps", f"{name}/scales"], [name], f"{name}/scale"),
        ]
    _put_first(graph, new)
    return len(channels)


def stored(file: Path) -> dict[str, int]:
    """How many elements of the file's constants are of which type; integers that are shapes or indices left out."""
    import onnx

    counted: Counter[str] = Counter()
    for tensor in onnx.load(str(file)).graph.initializer:
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).name
        if kind not in ("int64", "int32"):
            counted[kind] += int(np.prod(tensor.dims))
    return dict(sorted(counted.items()))


def _weights(graph: Any) -> list[tuple[str, int]]:
    """(name, axis of the output channels) of the constant weights, as far as they are constants."""
    constants = {tensor.name for tensor in graph.initializer}
    found = []
    for node in graph.node:
        index = _WEIGHTS.get(node.op_type)
        if index is None or node.input[index] not in constants:
            continue
        transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
        axis = 0 if node.op_type == "Conv" or transposed else 1
        found.append((node.input[index], axis))
    return found


def _put_first(graph: Any, new: list[Any]) -> None:
    """Put the nodes into the graph, each behind what it reads: those that read constants alone in front of all others."""
    made = {output for node in graph.node for output in node.output}
    early = [node for node in new if not made & set(node.input)]
    late = [node for node in new if made & set(node.input)]
    nodes: list[Any] = list(early)
    for node in graph.node:
        nodes.append(node)
        nodes += [each for each in late if set(each.input) & set(node.output)]
    del graph.node[:]
    graph.node.extend(nodes)
