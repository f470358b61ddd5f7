"""What ONNX Runtime makes of a model's heavy operators, read from the graph as it optimised it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from edgedeploy.artifact import Coverage, HeavyOp
from exporter.backends import counting
from exporter.backends.onnx_unfused import unfused

METHOD = (
    "the graph as ONNX Runtime's optimiser on the exporting host leaves it (level extended): an operator counts as int8 "
    "when it became one of the integer kernels, MatMulNBits when it may quantise what it is given (accuracy level 4); "
    "all listed kinds are MLAS kernels of the CPU provider"
)

#: operator -> (index of the data input, index of the weight or right-hand input, what it computes in)
_CONVOLUTIONS: dict[str, tuple[int, int, Literal["fp32", "int8"]]] = {
    "Conv": (0, 1, "fp32"),
    "FusedConv": (0, 1, "fp32"),
    "QLinearConv": (0, 3, "int8"),
    "ConvInteger": (0, 1, "int8"),
}
_PRODUCTS: dict[str, tuple[int, int, Literal["fp32", "int8"]]] = {
    "MatMul": (0, 1, "fp32"),
    "FusedMatMul": (0, 1, "fp32"),
    "Gemm": (0, 1, "fp32"),
    "FusedGemm": (0, 1, "fp32"),
    "QLinearMatMul": (0, 3, "int8"),
    "QGemm": (0, 3, "int8"),
    "MatMulInteger": (0, 1, "int8"),
    "MatMulIntegerToFloat": (0, 1, "int8"),
    "DynamicQuantizeMatMul": (0, 1, "int8"),
    # by its attributes: see _product
    "MatMulNBits": (0, 1, "fp32"),
}
#: `accuracy_level` of MatMulNBits at which its kernel quantises the activations, block by block, and multiplies integers
_NBITS_INT8 = 4
#: as heavy as a convolution: a product, whose columns are then added up; in float whatever is around it
_TRANSPOSED = "ConvTranspose"
#: heavy too, but without a count: said to be unknown rather than left out
_UNKNOWN = ("Attention", "QAttention", "MultiHeadAttention", "Einsum", "LSTM", "GRU", "RNN")


def of(optimised: Path) -> Coverage:
    """The coverage of a model from its optimised form, whose weights may be in a file beside it. Writes there, and runs it."""
    import onnx

    heavy = [op for _, op in heavy_operators(onnx.load(str(optimised), load_external_data=False), optimised.parent)]
    unknown = Counter(op.kind for op in heavy if op.compute == "unknown")
    return counting.coverage(METHOD, heavy, partitions=1, off_backend=unknown)


def heavy_operators(model: Any, scratch: Path) -> list[tuple[int, HeavyOp]]:
    """The heavy operators of the main graph, each with its place among the nodes. Runs it, with outputs added."""
    heavy_nodes = [node for node in model.graph.node if node.op_type in (*_CONVOLUTIONS, *_PRODUCTS, _TRANSPOSED)]
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    # by running it: the optimiser leaves its new tensors without a shape
    found = run_on_zeros(model, [name for node in heavy_nodes for name in (*node.input, *node.output)], scratch)
    shapes |= {name: list(array.shape) for name, array in found.items()}
    heavy = []
    for index, node in enumerate(model.graph.node):
        name = node.name or f"{node.op_type}_{index}"
        if node.op_type in _CONVOLUTIONS:
            heavy.append((index, _convolution(node, name, shapes)))
        elif node.op_type in _PRODUCTS:
            heavy.append((index, _product(node, name, shapes)))
        elif node.op_type == _TRANSPOSED:
            heavy.append((index, _transposed(node, name, shapes)))
        elif node.op_type in _UNKNOWN:
            unknown = HeavyOp(name=name[:300], kind=node.op_type, macs=0, compute="unknown", fast=False)
            heavy.append((index, unknown))
    return heavy


def run_on_zeros(whole: Any, names: Sequence[str], scratch: Path) -> dict[str, npt.NDArray[Any]]:
    """These tensors of a model that is fed zeros; those of its outputs too. The model itself is left as it is."""
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(whole)
    there = {tensor.name for tensor in (*model.graph.initializer, *model.graph.output)}
    for name in dict.fromkeys(names):
        if name and name not in there:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    session = unfused(model, scratch / "told.onnx")
    feeds = {
        info.name: np.zeros(
            [dim.dim_value for dim in info.type.tensor_type.shape.dim],
            onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type),
        )
        for info in model.graph.input
    }
    outputs = [output.name for output in session.get_outputs()]
    return dict(zip(outputs, session.run(outputs, feeds), strict=True))


def _convolution(node: Any, name: str, shapes: Mapping[str, list[int]]) -> HeavyOp:
    _, weight, compute = _CONVOLUTIONS[node.op_type]
    filters = shapes[node.input[weight]]
    group = _attribute(node, "group", 1)
    depthwise = group > 1 and filters[1] == 1
    macs = counting.convolution(shapes[node.output[0]], math.prod(filters[1:]))
    kind = "depthwise convolution" if depthwise else "convolution"
    return HeavyOp(name=name[:300], kind=kind, macs=macs, compute=compute, fast=True)


def _transposed(node: Any, name: str, shapes: Mapping[str, list[int]]) -> HeavyOp:
    # weight [in, out / groups, ...]: every input element is multiplied with all of one filter
    macs = counting.convolution(shapes[node.input[0]], math.prod(shapes[node.input[1]][1:]))
    return HeavyOp(name=name[:300], kind="transposed convolution", macs=macs, compute="fp32", fast=True)


def _product(node: Any, name: str, shapes: Mapping[str, list[int]]) -> HeavyOp:
    left, right, compute = _PRODUCTS[node.op_type]
    transposed = _attribute(node, "transA", 0)
    operand = shapes[node.input[left]]
    macs = counting.product(shapes[node.output[0]], operand[-2] if transposed else operand[-1])
    if node.op_type == "MatMulNBits":
        # its weight is packed, [n, blocks, bytes]
        compute = "int8" if _attribute(node, "accuracy_level", 0) == _NBITS_INT8 else "fp32"
        return HeavyOp(name=name[:300], kind="linear", macs=macs, compute=compute, fast=True)
    constant = len(shapes[node.input[right]]) == 2
    kind = "linear" if constant else "matrix product"
    return HeavyOp(name=name[:300], kind=kind, macs=macs, compute=compute, fast=True)


def _attribute(node: Any, name: str, default: int) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == name), default)
