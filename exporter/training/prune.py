"""Structured pruning of a subject's model, and its training after: what goes, how it is remembered, how it is won back."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgedeploy.errors import InternalError, UserError
from exporter.fetch import cache_root
from exporter.subjects.base import Progress, Subject, Weights
from exporter.training import processes, prune_importance
from exporter.training.obtain import Plan, Shipped, obtain
from exporter.training.prune_groups import Inputs, answers_alike, find_groups, record_of
from exporter.training.prune_importance import Batch, Importance
from exporter.training.prune_record import Record, cut, read_record, width
from exporter.training.prune_select import Bounds, layer_macs, select
from exporter.training.recipe import Recipe
from exporter.training.trainable import require_trainable
from exporter.training.tune import Changed, input_names, train_batches, tune_plan
from exporter.training.weights import read_metadata, state_digest

#: where a weight file's metadata keeps the record
KEY = "pruned"
#: examples that a cut is tried on; more than one, so that a batch axis is not taken for something else
TRIED_ON = 2


@dataclass(frozen=True)
class Pruning:
    """How much goes. macs: the share (0..1) of the layers' multiply-accumulates that stays.

    importance: see prune_importance. multiple, least: see prune_select.Bounds. examples, batch: of the training set,
    what Taylor importance is taken over.
    """

    macs: float
    importance: Importance = "taylor"
    multiple: int = 8
    least: float = 0.125
    examples: int = 1024
    batch: int = 16


def prune(subject: Subject, model: nn.Module, pruning: Pruning, seed: int, progress: Progress | None) -> Record:
    """What of `model` to keep, the model itself unchanged. Kept in the cache, so a resumed run has the very same.

    Raises UserError for a subject without labelled training examples, or a model in which nothing can be pruned.
    """
    require_trainable(subject, "pruned")
    named = {"model": state_digest(model), "train": subject.split("train").digest(), "seed": seed, **asdict(pruning)}
    key = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()
    path = cache_root() / "pruned" / f"{key}.json"
    try:
        return read_record(json.loads(path.read_bytes()), str(path))
    except (OSError, ValueError, UserError):
        pass  # not there, or damaged, which is as good
    record = _chosen(subject, model, pruning, seed, progress)
    _write(path, record)
    return record


def _chosen(subject: Subject, model: nn.Module, pruning: Pruning, seed: int, progress: Progress | None) -> Record:
    example = _example(subject, model)
    if progress is not None:
        progress(f"{subject.name}: which channels go together", 0, 0)
    groups = find_groups(model, example)
    if pruning.importance == "magnitude":
        scores = prune_importance.magnitude(model, groups)
    else:
        count = max(1, min(pruning.examples, len(subject.split("train"))) // pruning.batch)

        def told(done: int) -> None:
            if progress is not None:
                progress(f"{subject.name}: importance of {sum(group.units for group in groups):,} units", done, count)

        scores = prune_importance.taylor(model, groups, _batches(subject, pruning, count, seed), told)
    bounds = Bounds(pruning.multiple, pruning.least)
    record = record_of(model, select(model, groups, scores, layer_macs(model, example), pruning.macs, bounds))
    if not record.kept:
        raise UserError(
            f"nothing of {subject.name}'s model would go: it has too few channels for multiples of {pruning.multiple}; "
            "use an operator without pruning"
        )
    if not answers_alike(model, record, example):
        raise InternalError(f"{subject.name}: the pruned model does not compute what the channels that stayed did before")
    return record


def _example(subject: Subject, model: nn.Module) -> Inputs:
    arrays = subject.split("calibration").batch(0, TRIED_ON)
    return tuple(torch.from_numpy(np.ascontiguousarray(arrays[name])) for name in input_names(subject))


def _batches(subject: Subject, pruning: Pruning, count: int, seed: int) -> Iterator[Batch]:
    train, feed = subject.split("train"), train_batches(subject)
    order = np.random.default_rng([seed, 2]).permutation(len(train)).astype(np.int64)
    for number in range(count):
        rows = order[number * pruning.batch : (number + 1) * pruning.batch]
        yield feed(rows, np.random.default_rng([seed, 3, number])), torch.from_numpy(train.labels[rows])


def _write(path: Path, record: Record) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        partial.write_text(json.dumps(record.as_json()))
        partial.replace(path)
    except OSError as error:
        raise UserError(f"cannot keep what was pruned in {path.parent}: {error}. Set EDGEDEPLOY_CACHE.") from error


def pruned_plan(
    subject: Subject, original: nn.Module, pruning: Pruning, recipe: Recipe, shipped: Shipped | None = None
) -> Plan:
    """How `original` is pruned and then trained with itself as it was for a teacher."""
    recipe = replace(recipe, extra={**recipe.extra, "pruning": asdict(pruning)})

    def cut_by(record: Record) -> nn.Module:
        smaller = copy.deepcopy(original)
        cut(smaller, record)
        return smaller

    def rebuild(metadata: Mapping[str, Any]) -> nn.Module:
        smaller = cut_by(read_record(metadata.get(KEY), f"the weight file of {subject.name} pruned")).eval()
        try:
            with torch.no_grad():
                smaller(*_example(subject, original))
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise UserError(
                f"what was pruned does not fit the model of {subject.name} ({error}); prune it anew with --retrain"
            ) from error
        return smaller

    def record(progress: Progress | None) -> Record:
        return prune(subject, original, pruning, recipe.seed, progress)

    changed = Changed(
        what="pruned",
        skeleton=lambda progress: cut_by(processes.current().from_main(lambda: record(progress))),
        inputs={"original": state_digest(original)},
        teacher=original,
        rebuild=rebuild,
        remarks=lambda: {KEY: record(None).as_json()},
    )
    return tune_plan(subject, changed, recipe, shipped)


def pruned(plan: Plan, original: nn.Module, retrain: bool, progress: Progress | None) -> Weights:
    """The pruned model in eval mode. Shipped weights are taken only for the model that they were pruned from.

    Its recipe has a summary in place of the record: how many channels stay of how many, by module.
    """
    digest = state_digest(original)
    if plan.shipped is not None and read_metadata(plan.shipped.path).get("inputs", {}).get("original") != digest:
        plan = replace(plan, shipped=None)
    made = obtain(plan, retrain, progress)
    record = read_record(made.recipe[KEY], "the pruned model's weight file")
    return replace(made, recipe={**made.recipe, KEY: summary(original, record)})


def summary(original: nn.Module, record: Record) -> dict[str, str]:
    """Module name -> "outputs 48 of 144", for the manifest: what was cut of layers with weights, and which heads stay."""
    modules = dict(original.named_modules())
    told = {}
    for name, axes in record.kept.items():
        if isinstance(modules[name], nn.Linear | nn.Conv1d | nn.Conv2d) and "outputs" in axes:
            told[name] = f"outputs {len(axes['outputs'])} of {width(modules[name], 'outputs')}"
    for name, heads in record.heads.items():
        told[name] = f"heads {heads.count} of {vars(modules[name])[heads.attribute]}"
    return told
