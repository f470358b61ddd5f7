"""Coverage of a .pte that nothing is known of but its file: the payloads of XNNPACK, and the kernels called beside them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from edgedeploy.artifact import Coverage, HeavyOp
from exporter.backends import counting
from exporter.backends.executorch_payload import graph, tensor

METHOD = (
    "the file itself: the graphs inside its XNNPACK payloads, with the types of their operands, and the kernels that its "
    "program calls beside them"
)
_CONVOLUTIONS = ("XNNConv2d", "XNNDepthwiseConv2d", "XNNConvTranspose2d")
_PRODUCTS = {"XNNFullyConnected": ("linear", "filter_id"), "XNNBatchMatrixMultiply": ("matrix product", "input2_id")}
#: kernel outside of a delegate -> (kind, place of the left operand among its arguments)
_KERNELS = {
    "aten::convolution": ("convolution", 0), "aten::linear": ("linear", 0), "aten::addmm": ("linear", 1),
    "aten::mm": ("linear", 0), "aten::bmm": ("matrix product", 0),
}  # fmt: skip
_COMPUTE: Mapping[str, Literal["fp32", "fp16", "int8"]] = {
    "fp32": "fp32", "fp16": "fp16", "qint8": "int8", "qcint8": "int8", "qdint8": "int8", "quint8": "int8",
}  # fmt: skip


def coverage(file: Path) -> Coverage:
    """What became of the heavy operators of the method `forward`."""
    from executorch.exir._serialize._program import deserialize_pte_binary

    program = deserialize_pte_binary(file.read_bytes()).program
    plan = program.execution_plan[0]
    heavy: list[HeavyOp] = []
    delegates = [delegate for delegate in plan.delegates if delegate.id == "XnnpackBackend"]
    for number, delegate in enumerate(delegates):
        heavy += _in_payload(graph(bytes(program.backend_delegate_data[delegate.processed.index].data)), number)
    calls = [each.instr_args for chain in plan.chains for each in chain.instructions]
    kernels = [call for call in calls if type(call).__name__ == "KernelCall"]
    left: Counter[str] = Counter()
    for index, call in enumerate(kernels):
        name = plan.operators[call.op_index].name
        left[name.removeprefix("aten::")] += 1
        if name in _KERNELS:
            heavy.append(_kernel(name, index, [plan.values[place].val for place in call.args]))
    others = Counter(f"delegate {delegate.id}" for delegate in plan.delegates if delegate.id != "XnnpackBackend")
    return counting.coverage(METHOD, heavy, partitions=len(delegates), off_backend=left + others)


def _in_payload(xnn: dict[str, Any], number: int) -> Iterator[HeavyOp]:
    tensors = {each["id_out"]: each for each in map(tensor, xnn["xvalues"])}
    for index, node in enumerate(xnn["xnodes"]):
        kind, body = node["xnode_union_type"], node["xnode_union"]
        name = f"{kind}_{number}_{index}"
        if kind in _CONVOLUTIONS:
            filters, output = tensors[body["filter_id"]], tensors[body["output_id"]]
            # filters of a depthwise one are [1, h, w, channels], of the others [channels, h, w, channels in a group]
            depthwise = kind == "XNNDepthwiseConv2d"
            size = math.prod(filters["dims"][1:3] if depthwise else filters["dims"][1:])
            moved = tensors[body["input1_id"]] if kind == "XNNConvTranspose2d" else output
            macs = counting.convolution(moved["dims"], size)
            yield HeavyOp(
                name=name, kind="depthwise convolution" if depthwise else "convolution", macs=macs,
                compute=_type(tensors[body["input1_id"]], filters), fast=True,
            )  # fmt: skip
        elif kind in _PRODUCTS:
            what, right = _PRODUCTS[kind]
            first, second, output = (tensors[body[key]] for key in ("input1_id", right, "output_id"))
            macs = counting.product(output["dims"], first["dims"][-1])
            yield HeavyOp(name=name, kind=what, macs=macs, compute=_type(first, second), fast=True)


def _type(left: dict[str, Any], right: dict[str, Any]) -> Literal["fp32", "fp16", "int8", "unknown"]:
    found = {_COMPUTE.get(str(each["datatype"]).removeprefix("xnn_datatype_")) for each in (left, right)}
    return found.pop() or "unknown" if len(found) == 1 else "unknown"


def _kernel(name: str, index: int, values: list[Any]) -> HeavyOp:
    kind, left = _KERNELS[name]
    output = list(values[-1].sizes)
    if kind == "convolution":
        macs = counting.convolution(output, math.prod(values[1].sizes[1:]))
    else:
        macs = counting.product(output, values[left].sizes[-1])
    return HeavyOp(name=f"{name}_{index}", kind=kind, macs=macs, compute="fp32", fast=False)
