"""Where an artifact leaves its float model: the first operator after which the two differ, found by cutting the model there."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgedeploy.errors import UserError
from edgedeploy.signature import Signature
from exporter.given.file import GivenFile
from exporter.partition import graph as graphs
from exporter.partition.graph import Piece, Position
from exporter.runtimes.base import Lowered, PortedModel, Runtime, Work
from exporter.runtimes.lowering import Feeds, fed, first_line, torch_example
from exporter.subjects.base import Split

#: relative difference (L2, of the worst tensor) that counts as another result
FLOAT_LIMIT = 1e-2
#: the same where something is quantised: its own steps make up to about a tenth
QUANTISED_LIMIT = 0.35
#: examples that are compared
EXAMPLES = 4


def first_divergence(
    runtime: Runtime, work: Work, examples: Split, lower: Callable[[Work, Path], Lowered], limit: float
) -> str:
    """In words, the first place of the whole float model after which what `lower` makes of it gives something else.

    The model is cut at a place, what is before it is lowered by itself and run beside it; bisection over all valid
    cuts, so a difference is taken to last once it is there. A given .tflite, and what TensorFlow converted, is not cut: all
    tensors of it and of what is made of it are compared. Never raises for a model that cannot be looked into: it says so.
    """
    if work.given is not None and runtime.suffix == ".tflite":
        return _in_tflite(work, work.given, examples, lower, limit)
    try:
        places, cut = _places(work)
    except Exception as error:  # whatever is in the way of looking must not hide that parity is lost
        return f"where they part is not known ({first_line(error)})"
    low, high = 0, len(places)  # the first place that differs is in low..high; high itself: none of them does
    worst: dict[int, float] = {}
    while low < high:
        middle = (low + high) // 2
        try:
            worst[middle] = _difference(runtime, work, cut(places[middle]), examples, lower)
        except Exception as error:
            after = places[middle].after
            return f"where they part is not known: the model cut after {after} cannot be lowered ({first_line(error)})"
        if worst[middle] > limit:
            high = middle
        else:
            low = middle + 1
    if low == len(places):
        last = f"after {places[-1].after}" if places else "in a model that has no place to cut"
        return f"they part {last}, at the end of the model"
    before = f"; up to {places[low - 1].after} they agree" if low else ""
    place = places[low]
    module = f" in {place.module}" if place.module else ""
    return f"they part at {place.after}{module} (relative difference {worst[low]:.2g}){before}"


def _in_tflite(work: Work, given: GivenFile, examples: Split, lower: Callable[[Work, Path], Lowered], limit: float) -> str:
    """The same of a .tflite that was given, or that TensorFlow made."""
    from exporter.given import tflite_compare

    try:
        with tempfile.TemporaryDirectory(prefix="edgedeploy-diverge-") as scratch:
            lowered = lower(work, Path(scratch) / "whole.tflite")
            some: list[tuple[Feeds, Feeds]] = []
            for index in range(min(EXAMPLES, len(examples))):
                one = examples.batch(index, index + 1)
                own = {
                    name: np.ascontiguousarray(one[spec.name])
                    for name, spec in zip(given.own_inputs, given.inputs, strict=True)
                }
                some.append((own, next(fed(iter([one]), lowered.inputs))))
            return tflite_compare.first_divergence(given.path, lowered.file, some, limit)
    except Exception as error:  # whatever is in the way of looking must not hide that parity is lost
        return f"where they part is not known ({first_line(error)})"


def _places(work: Work) -> tuple[list[Position], Callable[[Position], Piece]]:
    """Every valid cut of the model, and how what is before one is had. Raises UserError where it cannot be taken apart."""
    given = work.given
    if given is None:
        graph = graphs.trace(work.model, work.signature, torch_example(work))
        return graphs.positions(graph), lambda place: graphs.cut(graph, place)[0]
    if given.form != ".onnx":  # a .pte alone: a .tflite is not cut, its tensors are compared
        raise UserError(f"nothing here takes a {given.form} file apart")
    from exporter.given import onnx_cut, onnx_graph

    file = onnx_cut.whole(given, work.signature)
    return onnx_graph.positions(file), lambda place: onnx_cut.cut(given, file, place)[0]


def _difference(runtime: Runtime, work: Work, piece: Piece, examples: Split, lower: Callable[[Work, Path], Lowered]) -> float:
    """The largest relative L2 difference of a crossing tensor between what `lower` makes and the piece, over the examples."""
    import torch

    signature = Signature(task="other", inputs=piece.inputs, outputs=piece.outputs, metric="none")
    worst = 0.0
    with tempfile.TemporaryDirectory(prefix="edgedeploy-diverge-") as scratch:
        lowered = lower(replace(work, model=piece.model, signature=signature), Path(scratch) / f"head{runtime.suffix}")
        model = PortedModel(runtime.open(lowered.file), lowered.inputs, lowered.outputs)
        batch = examples.batch(0, min(EXAMPLES, len(examples)))
        for i in range(len(next(iter(batch.values())))):
            one = {name: np.ascontiguousarray(array[i : i + 1]) for name, array in batch.items()}
            made = model(one)
            with torch.no_grad():
                expected = piece.model(*(torch.from_numpy(one[spec.name]) for spec in piece.inputs))
            for spec, tensor in zip(piece.outputs, expected, strict=True):
                like = tensor.numpy().astype(np.float64)
                gap = float(np.linalg.norm(made[spec.name] - like))
                worst = max(worst, gap / max(float(np.linalg.norm(like)), 1e-12) if np.isfinite(gap) else float("inf"))
    return worst
