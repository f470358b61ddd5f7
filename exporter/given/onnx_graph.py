"""The places where a given .onnx can be cut in two: after a node, in the file's order, where few tensors cross."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from edgedeploy.signature import ITEM_BYTES, DType, Signature, TensorSpec
from exporter.given.file import GivenFile, safe_name, unused
from exporter.partition.graph import Position

#: more than these never cross: each is a message of its own
MOST_CROSSING = 4
#: an operator that is computed together with the one before it: no cut goes between the two
_FUSED = ("BatchNormalization", "Relu", "LeakyRelu", "Clip", "HardSwish", "HardSigmoid", "Sigmoid")
#: the same where its other operand is a constant: a bias, a scale
_FUSED_WITH_CONSTANT = ("Add", "Mul")
_LEADS = ("Pad",)


@dataclass(frozen=True)
class OnnxGraph:
    """A file's graph. model: onnx.ModelProto. macs: of each node. tensors: what crosses may be, by the file's own names.

    constants: tensors that are the same in every call; each stage computes those that it needs.
    """

    model: Any
    signature: Signature
    macs: tuple[int, ...]
    tensors: dict[str, TensorSpec]
    constants: frozenset[str]


def read(file: GivenFile, signature: Signature) -> OnnxGraph:
    """The graph of a file that was examined."""
    import onnx

    from exporter.backends import onnx_coverage

    model = onnx.load(str(file.path))
    constants = _constants(model)
    computed = [name for node in model.graph.node for name in node.output if name and name not in constants]
    with tempfile.TemporaryDirectory(prefix="edgedeploy-given-") as scratch:
        arrays = onnx_coverage.run_on_zeros(model, computed, Path(scratch))
        heavy = {index: op.macs for index, op in onnx_coverage.heavy_operators(model, Path(scratch))}
    tensors = dict(zip((*file.own_inputs, *file.own_outputs), (*file.inputs, *file.outputs), strict=True))
    taken = {spec.name for spec in tensors.values()}
    for name in computed:
        array = arrays[name]
        if name in tensors or array.dtype.name not in ITEM_BYTES or not array.size or array.ndim > 8:
            continue
        called = unused(safe_name(name), taken)
        taken.add(called)
        tensors[name] = TensorSpec(name=called, dtype=cast(DType, array.dtype.name), shape=array.shape)
    macs = tuple(heavy.get(index, 0) for index in range(len(model.graph.node)))
    return OnnxGraph(model, signature, macs, tensors, constants)


def positions(graph: OnnxGraph) -> list[Position]:
    """Every valid cut: both stages have something heavy, no operator is torn from the one it is fused with."""
    nodes = list(graph.model.graph.node)
    outputs = {output.name for output in graph.model.graph.output}
    uses = [set(reads(node)) for node in nodes]
    last = {name: index for index, names in enumerate(uses) for name in names}
    total = sum(graph.macs)
    found: list[Position] = []
    before = 0
    alive = [info.name for info in graph.model.graph.input]
    for index, node in enumerate(nodes):
        before += graph.macs[index]
        alive = [name for name in (*alive, *node.output) if name not in graph.constants and last.get(name, -1) > index]
        if outputs & set(node.output) or before == total:
            break  # a cut from here on would leave the second stage nothing to do
        fits = 0 < len(alive) <= MOST_CROSSING and all(name in graph.tensors for name in alive)
        if before and fits and not any(_torn(graph, nodes, index, name, uses) for name in alive):
            crossing = tuple(graph.tensors[name] for name in alive)
            found.append(Position(index, node.name or node.output[0], "", crossing, before))
    return found


def own_names(graph: OnnxGraph, specs: Sequence[TensorSpec]) -> tuple[str, ...]:
    """What the file calls these tensors."""
    called = {spec.name: name for name, spec in graph.tensors.items()}
    return tuple(called[spec.name] for spec in specs)


def _torn(graph: OnnxGraph, nodes: Sequence[Any], index: int, name: str, uses: Sequence[set[str]]) -> bool:
    """Whether a cut with this tensor crossing parts its node from the one it is fused with."""
    made = next((node for node in nodes[: index + 1] if name in node.output), None)
    if made is None:
        return False
    if made.op_type in _LEADS:
        return True
    users = [node for node, names in zip(nodes[index + 1 :], uses[index + 1 :], strict=True) if name in names]
    earlier = any(name in names for names in uses[: index + 1])
    if earlier or len(users) != 1:
        return False
    user = users[0]
    with_constant = user.op_type in _FUSED_WITH_CONSTANT and any(each in graph.constants for each in user.input)
    return user.op_type in _FUSED or with_constant


def reads(node: Any) -> Iterator[str]:
    """Every tensor that a node reads, those that its inner graphs take from outside too."""
    waiting = [node]
    while waiting:
        each = waiting.pop()
        yield from (name for name in each.input if name)
        for attribute in each.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from (output.name for output in graph.output)
                waiting += graph.node


def _constants(model: Any) -> frozenset[str]:
    """Initialisers, and what is computed of nothing else."""
    found = {tensor.name for tensor in model.graph.initializer} | {each.values.name for each in model.graph.sparse_initializer}
    for node in model.graph.node:
        if not node.op_type.startswith("Random") and all(name in found for name in reads(node)):
            found.update(node.output)
    return frozenset(found)
