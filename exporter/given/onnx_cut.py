"""A given .onnx divided into stages: by a node's or a tensor's name, at a share of its work, or where a search finds best."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgedeploy.errors import UserError
from edgedeploy.signature import Signature, TensorSpec
from exporter.backends.onnx_unfused import unfused
from exporter.given import onnx_graph
from exporter.given.file import GivenFile
from exporter.given.onnx_graph import OnnxGraph
from exporter.partition.division import CutRequest, Division, decide, described
from exporter.partition.graph import Piece, Position

ROUNDS, WARMUP = 12, 3


def divide_file(
    file: GivenFile, signature: Signature, request: CutRequest, *, quantised: bool,
    say: Callable[[str], None] = lambda text: None,
) -> Division:  # fmt: skip
    """As `partition.division.divide`, of a file. Raises UserError where it cannot be cut, or not there."""
    graph = whole(file, signature)
    candidates = onnx_graph.positions(graph)
    measured = _nodes_ms(graph)
    position = decide(graph, candidates, measured, request, lambda name: _named(graph, candidates, name), quantised=quantised)
    pieces = cut(file, graph, position)
    return described(graph, pieces, position, measured, request, len(candidates), quantised=quantised, say=say)


def whole(file: GivenFile, signature: Signature) -> OnnxGraph:
    """The file's graph. Raises UserError where it cannot be cut anywhere."""
    graph = onnx_graph.read(file, signature)
    inner = next((node for node in graph.model.graph.node if any(each.g.node or each.graphs for each in node.attribute)), None)
    if inner is not None:
        raise UserError(f"this file cannot be partitioned: its {inner.op_type} has a graph inside, which cannot be taken apart")
    return graph


def _named(graph: OnnxGraph, candidates: Sequence[Position], name: str) -> Position:
    nodes = list(graph.model.graph.node)
    index = next((i for i, node in enumerate(nodes) if name == node.name or name in node.output), None)
    if index is None:
        listed = ", ".join(place.after for place in candidates[:8])
        raise UserError(f"--cut {name}: this file has no node or tensor of that name; it can be cut after {listed}")
    place = next((each for each in candidates if each.index == index), None)
    if place is None:
        nearest = sorted(candidates, key=lambda each: abs(each.index - index))[:4]
        raise UserError(
            f"--cut {name}: no valid cut is there (it would tear fused operators apart, leave a stage without work, or more "
            f"than {onnx_graph.MOST_CROSSING} tensors cross); the nearest ones are after "
            f"{', '.join(each.after for each in nearest)}"
        )
    return place


def _nodes_ms(graph: OnnxGraph) -> list[float]:
    """Median milliseconds of each node by ONNX Runtime's profiler: one thread, zeros, nothing fused, as the nodes are cut."""
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    for index, node in enumerate(model.graph.node):
        node.name = f"n{index}"
    with tempfile.TemporaryDirectory(prefix="edgedeploy-given-") as scratch:
        session = unfused(model, Path(scratch) / "named.onnx", Path(scratch) / "profile")
        feeds = {own: np.zeros(spec.shape, spec.dtype) for own, spec in _inputs(graph).items()}
        for _ in range(WARMUP + ROUNDS):
            session.run(None, feeds)
        events: list[dict[str, Any]] = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    taken: dict[str, list[float]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            taken.setdefault(event["name"].removesuffix("_kernel_time"), []).append(event["dur"] / 1000)
    return [statistics.median(taken.get(f"n{i}", [0.0])[WARMUP:] or [0.0]) for i in range(len(graph.macs))]


def _inputs(graph: OnnxGraph) -> dict[str, TensorSpec]:
    return {info.name: graph.tensors[info.name] for info in graph.model.graph.input}


def cut(file: GivenFile, graph: OnnxGraph, position: Position) -> tuple[Piece, Piece]:
    """The two stages, each a file of its own beside the whole one's copy."""
    import onnx

    nodes = list(graph.model.graph.node)
    crossing = onnx_graph.own_names(graph, position.crossing)
    inputs = _inputs(graph)
    used = {name for node in nodes[: position.index + 1] for name in onnx_graph.reads(node)}
    first_in = [name for name in inputs if name in used]
    first_out = [name for name in crossing if name not in inputs]  # an input need not go through the first stage
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    del model.graph.value_info[:]
    model.graph.value_info.extend(
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(graph.tensors[name].dtype)), graph.tensors[name].shape
        )
        for name in crossing
        if name not in inputs
    )
    extractor = onnx.utils.Extractor(model)
    pieces = []
    ends = ((first_in, first_out), (list(crossing), list(file.own_outputs)))
    for index, (takes, gives) in enumerate(ends):
        path = file.path.with_name(f"cut{position.index}-{index}.onnx")
        onnx.save(extractor.extract_model(takes, gives), str(path))
        part = replace(
            file, path=path, own_inputs=tuple(takes), own_outputs=tuple(gives),
            inputs=tuple(graph.tensors[name] for name in takes), outputs=tuple(graph.tensors[name] for name in gives),
        )  # fmt: skip
        pieces.append(_piece(part))
    return pieces[0], pieces[1]


def _piece(part: GivenFile) -> Piece:
    from exporter.given.model import GivenModel

    return Piece(GivenModel(part), part.inputs, part.outputs)
