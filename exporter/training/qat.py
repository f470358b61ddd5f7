"""Quantisation-aware training of a subject's model: a float model with trained weights, and trained activation ranges.

The model is trained with its unquantised self as teacher, as int8 would compute it, and then taken out of the graph that
simulated this. Each runtime lowers it as it lowers any float model, in the int8 scheme that is fast there, with the trained
ranges in place of calibrated ones (`exporter.trained_ranges`).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgedeploy.errors import InternalError, UserError
from exporter import trained_ranges
from exporter.subjects.base import Progress, Subject, Weights
from exporter.trained_ranges import TrainedRange
from exporter.training.obtain import Plan, obtain
from exporter.training.qat_recipes import QatRecipe
from exporter.training.qat_trainee import Ends, Trainee
from exporter.training.tune import Changed, input_names, tune_plan
from exporter.training.weights import read_metadata, state_digest

#: where a weight file's metadata keeps which tensors the ranges are of
KEY = "trained_ranges"
_VERSION = 1


def qat(subject: Subject, original: nn.Module, recipe: QatRecipe, retrain: bool, progress: Progress | None) -> Weights:
    """The trained model in eval mode, with its ranges; `original` is left as it is.

    Shipped weights are taken only for the model that they were trained from. Raises UserError for a subject without
    labelled training examples, or a model that cannot be exported for training.
    """
    plan = qat_plan(subject, original, recipe)
    digest = state_digest(original)
    if plan.shipped is not None and read_metadata(plan.shipped.path).get("inputs", {}).get("original") != digest:
        plan = replace(plan, shipped=None)
    made = obtain(plan, retrain, progress)
    trainee = made.model
    assert isinstance(trainee, Trainee)
    marks = dict(made.recipe)
    ranges = _read(marks.pop(KEY), trainee.ranges)
    said = {**marks, "trained_from": digest, "ranges": len(trainee.ranges)}
    model = trainee.model.eval()
    return Weights(model, state_digest(model), made.origin, said, ranges)


def qat_plan(subject: Subject, original: nn.Module, recipe: QatRecipe) -> Plan:
    """How `original` is trained."""
    scheme = "linear" if subject.quantise == "transformer" else "full"
    training: list[Trainee] = []  # the one being trained, which the remarks are about

    def skeleton(progress: Progress | None) -> nn.Module:
        # imports what only training needs
        from exporter.training.qat_graph import training_graph

        if progress is not None:
            progress(f"{subject.name}: exporting for quantisation-aware training", 0, 0)
        model = copy.deepcopy(original)
        made = training_graph(model, _calibration(subject, 2), scheme)
        if not made.ranges:
            raise UserError(f"{subject.name} has nothing to train in int8: no convolution and no linear layer was found")
        steps = recipe.train.steps(len(subject.split("train")))
        trainee = Trainee(model, made.ranges, made.graph, round(steps * (1 - float(recipe.train.extra["freeze"]))))
        training[:] = [trainee]
        return trainee

    def remarks() -> dict[str, Any]:
        return {KEY: {"version": _VERSION, "of": marks(training[0], _calibration(subject, 1))}}

    def rebuild(metadata: Mapping[str, Any]) -> nn.Module:
        count = len({number for number, _ in _marks(metadata.get(KEY))})
        return Trainee(copy.deepcopy(original), [Ends() for _ in range(count)])

    changed = Changed(
        what="qat",
        skeleton=skeleton,
        inputs={"original": state_digest(original), "scheme": scheme},
        teacher=original,
        rebuild=rebuild,
        remarks=remarks,
        whole=True,
    )
    return tune_plan(subject, changed, recipe.train, recipe.shipped)


def marks(trainee: Trainee, example: tuple[Tensor, ...]) -> list[dict[str, Any]]:
    """Which tensors the ranges are of: [{"range": number, count, quantiles}], by what they hold of one example in float.

    A range that serves several tensors, as of a concatenation's parts, is there with each.
    """
    from exporter.training.qat_fake import ActivationRange

    graph = trainee.graph_module
    assert graph is not None
    number = {id(ends): index for index, ends in enumerate(trainee.ranges)}
    found: list[dict[str, Any]] = []

    def look(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        assert isinstance(module, ActivationRange)
        mark = trained_ranges.fingerprint(given[0].detach().float().numpy())
        entry = {"range": number[id(module.ends)], **trained_ranges.mark_as_json(mark)}
        if entry not in found:
            found.append(entry)

    trainee.eval()
    trainee.as_int8(False)
    hooks = [module.register_forward_pre_hook(look) for module in set(graph.modules()) if isinstance(module, ActivationRange)]
    try:
        with torch.no_grad():
            trainee(*example)
    finally:
        for hook in hooks:
            hook.remove()
        trainee.as_int8(True)
    if {entry["range"] for entry in found} != set(number.values()):
        raise InternalError("a trained range is of no tensor")
    return found


def _calibration(subject: Subject, examples: int) -> tuple[Tensor, ...]:
    """The first calibration examples, which runtimes see first too."""
    arrays = subject.split("calibration").batch(0, examples)
    return tuple(torch.from_numpy(np.ascontiguousarray(arrays[name])) for name in input_names(subject))


def _marks(content: Any) -> list[tuple[int, trained_ranges.Fingerprint]]:
    """(number of the range, tensor) of a weight file's metadata; numbers from 0, none left out. Raises UserError."""
    try:
        if content["version"] != _VERSION:
            raise ValueError(f"version {content['version']!r}")
        read = [(each["range"], trained_ranges.read_mark(each)) for each in content["of"]]
        numbers = {number for number, _ in read}
        if any(type(number) is not int for number in numbers) or numbers != set(range(len(numbers))) or not read:
            raise ValueError("ranges are numbered from 0")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"the weight file does not say which ranges were trained ({type(error).__name__}: {error}); train it anew "
            "with --retrain"
        ) from error
    return read


def _read(content: Any, ranges: nn.ModuleList) -> tuple[TrainedRange, ...]:
    read = []
    for number, mark in _marks(content):
        ends = ranges[number]
        assert isinstance(ends, Ends)
        low, high = float(ends.low), float(ends.high)
        if not (np.isfinite(low) and np.isfinite(high) and low <= high):
            raise UserError(f"the weight file's range {number} is {low} .. {high}; train it anew with --retrain")
        read.append(TrainedRange(low, high, mark))
    return tuple(read)
