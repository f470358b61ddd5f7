"""What is in a .tflite file, and which of its operators the delegate took."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgedeploy.artifact import Coverage, HeavyOp
from exporter.backends import counting

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

METHOD = (
    "the file's own operators, types and shapes; which of them XNNPACK took is read from the interpreter after "
    "delegation: those between the inputs and the outputs of its delegate nodes"
)
#: what the interpreter calls a node that stands for the operators a delegate took
DELEGATE = "DELEGATE"
#: what ai-edge-quantizer adds to a tensor's name where it puts a QUANTIZE after it, instead of changing it in place
QUANTISED = "_quantized"
_CONVOLUTIONS = {"CONV_2D": "convolution", "DEPTHWISE_CONV_2D": "depthwise convolution", "CONV_3D": "convolution"}
_KINDS = _CONVOLUTIONS | {
    "TRANSPOSE_CONV": "transposed convolution",
    "FULLY_CONNECTED": "linear",
    "BATCH_MATMUL": "matrix product",
}


@dataclass(frozen=True)
class Node:
    """An operator of the main subgraph; inputs and outputs are tensor indices, -1 for one left out."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    #: BATCH_MATMUL only: the left-hand side is transposed
    left_transposed: bool = False


@dataclass(frozen=True)
class Tensor:
    """A tensor of the main subgraph."""

    name: str
    type: str
    shape: tuple[int, ...]
    constant: bool


def read(model: Path) -> tuple[list[Node], list[Tensor]]:
    """Operators and tensors of the main subgraph, in the file's order."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    types = {value: name for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model.read_bytes(), 0))
    graph = file.subgraphs[0]

    def constant(tensor: Any) -> bool:
        buffer = file.buffers[tensor.buffer]
        # larger ones stand after the flatbuffer, and are found by their offset
        return tensor.buffer != 0 and ((buffer.data is not None and len(buffer.data) > 0) or buffer.offset > 1)

    def indices(values: Any) -> tuple[int, ...]:
        return () if values is None else tuple(int(value) for value in values)

    tensors = [
        Tensor((tensor.name or b"").decode("utf-8", "replace"), types[tensor.type], indices(tensor.shape), constant(tensor))
        for tensor in graph.tensors
    ]
    nodes = []
    for operator in graph.operators:
        code = file.operatorCodes[operator.opcodeIndex]
        kind = kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]
        left = kind == "BATCH_MATMUL" and bool(operator.builtinOptions.adjX)
        nodes.append(Node(kind, indices(operator.inputs), indices(operator.outputs), left))
    return nodes, tensors


def float_activations(nodes: Sequence[Node], tensors: Sequence[Tensor], kinds: Collection[str]) -> dict[str, tuple[int, int]]:
    """Float tensors that are computed or fed and that operators of these kinds (empty: any) read or write: name -> (index,
    rank), in the file's order."""
    touched = {index for node in nodes if not kinds or node.kind in kinds for index in (*node.inputs, *node.outputs)}
    return {
        tensor.name: (index, len(tensor.shape))
        for index, tensor in enumerate(tensors)
        if index in touched and tensor.type == "FLOAT32" and not tensor.constant
    }


def quantised_activations(model: Path) -> set[str]:
    """Names, as in the float file, of the tensors that are computed or fed in int8."""
    return {tensor.name.removesuffix(QUANTISED) for tensor in read(model)[1] if tensor.type == "INT8" and not tensor.constant}


def of(model: Path, interpreter: Interpreter) -> Coverage:
    """The coverage of a file, with the interpreter that has it loaded and delegated."""
    nodes, tensors = read(model)
    delegates = [
        Node(DELEGATE, tuple(map(int, details["inputs"])), tuple(map(int, details["outputs"])))
        for details in interpreter._get_ops_details()  # the public API lists no operators
        if details["op_name"] == DELEGATE
    ]
    taken = delegated(nodes, delegates)
    heavy = [
        HeavyOp(
            name=(tensors[node.outputs[0]].name or f"{node.kind}_{index}")[:300],
            kind=_KINDS[node.kind],
            macs=_macs(node, tensors),
            compute=_compute(node, tensors),
            fast=index in taken,
        )
        for index, node in enumerate(nodes)
        if node.kind in _KINDS
    ]
    left = Counter(node.kind for index, node in enumerate(nodes) if index not in taken)
    return counting.coverage(METHOD, heavy, partitions=len(delegates), off_backend=left)


def delegated(nodes: Sequence[Node], delegates: Sequence[Node]) -> set[int]:
    """Indices of the nodes that the delegate nodes stand for: back from a delegate's outputs to its inputs."""
    producer = {tensor: index for index, node in enumerate(nodes) for tensor in node.outputs}
    taken: set[int] = set()
    for delegate in delegates:
        given, waiting = set(delegate.inputs), list(delegate.outputs)
        while waiting:
            index = producer.get(waiting.pop())
            if index is None or index in taken:
                continue
            taken.add(index)
            waiting += [tensor for tensor in nodes[index].inputs if tensor not in given]
    return taken


def _macs(node: Node, tensors: Sequence[Tensor]) -> int:
    output, first = tensors[node.outputs[0]].shape, tensors[node.inputs[0]].shape
    weight = tensors[node.inputs[1]].shape
    if node.kind == "DEPTHWISE_CONV_2D":  # weight [1, h, w, channels]
        return counting.convolution(output, math.prod(weight[1:3]))
    if node.kind == "CONV_2D":  # weight [out, h, w, in / groups]
        return counting.convolution(output, math.prod(weight[1:]))
    if node.kind == "CONV_3D":  # weight [d, h, w, in / groups, out]
        return counting.convolution(output, math.prod(weight[:4]))
    if node.kind == "TRANSPOSE_CONV":  # inputs: output shape, weight [out, h, w, in], data
        return counting.convolution(tensors[node.inputs[2]].shape, math.prod(weight[:3]))
    if node.kind == "FULLY_CONNECTED":  # weight [out, in]
        return counting.product(output, weight[-1])
    return counting.product(output, first[-2] if node.left_transposed else first[-1])


def _compute(node: Node, tensors: Sequence[Tensor]) -> Literal["fp32", "fp16", "int8", "unknown"]:
    data = node.inputs[2] if node.kind == "TRANSPOSE_CONV" else node.inputs[0]
    found = tuple(tensors[index].type for index in (data, node.inputs[1], node.outputs[0]))
    if found == ("FLOAT32", "INT8", "FLOAT32"):
        # int8 weights that no DEQUANTIZE stands before: the kernel quantises its input as it runs, and multiplies integers
        return "int8"
    types: Mapping[str, Literal["fp32", "fp16", "int8"]] = {"FLOAT32": "fp32", "FLOAT16": "fp16", "INT8": "int8"}
    operands = {types.get(each) for each in found}
    return operands.pop() or "unknown" if len(operands) == 1 else "unknown"


def stored(model: Path) -> dict[str, int]:
    """How many elements of the file's constants are of which type; integers that are shapes or biases left out."""
    counted: Counter[str] = Counter()
    for tensor in read(model)[1]:
        if tensor.constant and tensor.type not in ("INT32", "INT64"):
            counted[tensor.type.lower()] += math.prod(tensor.shape)
    return dict(sorted(counted.items()))
