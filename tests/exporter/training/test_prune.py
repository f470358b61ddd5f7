"""Pruning a subject and training on: what comes out, how it is kept, and that every runtime takes it."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from edgedeploy.errors import UserError
from edgedeploy.signature import TensorSpec
from exporter import runtimes
from exporter.operators.pruned import operator
from exporter.subjects.base import Split, Subject, Weights
from exporter.training.evaluate import right_of
from exporter.training.prune import Pruning, pruned, pruned_plan
from exporter.training.prune_groups import Inputs, find_groups, record_of
from exporter.training.prune_importance import Importance, magnitude
from exporter.training.prune_record import cut
from exporter.training.prune_select import Bounds, layer_macs, select
from exporter.training.recipe import Recipe
from exporter.training.weights import load_weights, read_metadata, state_digest
from tests.exporter import tiny
from tests.exporter.runtimes.conftest import said_by
from tests.exporter.runtimes.standins import said_by_torch, work
from tests.exporter.training import prunable

PRUNING = Pruning(macs=0.4, examples=64)
RECIPE = Recipe(epochs=6, batch=32, lr=2e-3)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEDEPLOY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def made(pruning: Pruning = PRUNING, *, retrain: bool = False, subject: Subject = tiny.subject) -> Weights:
    original = tiny.trained(24)
    return pruned(pruned_plan(subject, original, pruning, RECIPE), original, retrain, None)


def accuracy(model: nn.Module) -> float:
    return float(right_of(model, tiny.split("evaluation"), ("image",)).mean())


@pytest.mark.parametrize("importance", ["taylor", "magnitude"])
def test_a_pruned_model_is_smaller_and_as_good_and_its_origin_is_untouched(cache: Path, importance: Importance) -> None:
    before = state_digest(tiny.trained(24))
    weights = made(replace(PRUNING, importance=importance))
    assert weights.origin == "trained now"
    assert state_digest(tiny.trained(24)) == before
    sizes = [sum(p.numel() for p in model.parameters()) for model in (weights.model, tiny.trained(24))]
    assert sizes[0] < 0.6 * sizes[1]
    assert accuracy(weights.model) > accuracy(tiny.trained(24)) - 0.03
    assert all("of 48" in told or "of 24" in told for told in weights.recipe["pruned"].values())
    assert not weights.model.training


FRESH = """
import sys
sys.modules["torch_pruning"] = None  # to import it fails: loading must not need it
from tests.exporter.training.test_prune import made
weights = made()
print(weights.origin, weights.digest)
"""


def test_a_fresh_process_loads_the_same_without_looking_for_importance_again(cache: Path) -> None:
    weights = made()
    environment = {**os.environ, "EDGEDEPLOY_CACHE": str(cache)}
    said = subprocess.run(
        [sys.executable, "-c", FRESH],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert said.stdout.split() == ["cache", weights.digest]


def test_training_anew_gives_the_same_to_the_last_bit(cache: Path) -> None:
    first = made()
    for kept in (cache / "pruned").iterdir():
        kept.unlink()
    again = made(retrain=True)
    assert (again.origin, again.digest) == ("trained now", first.digest)


def test_a_damaged_record_of_the_choice_is_made_anew(cache: Path) -> None:
    first = made()
    (kept,) = (cache / "pruned").iterdir()
    kept.write_text('{"version": 1, "kept": {"features.0": {"outputs": [5, 4]}}, "heads": {}}')
    assert made(retrain=True).digest == first.digest


@pytest.mark.parametrize(
    "record",
    [
        '{"version": 1, "kept": {"features.0": {"outputs": [5, 4]}}, "heads": {}}',
        '{"version": 1, "kept": {"features.0": {"outputs": [0, 1]}}, "heads": {}}',
        '{"version": 1, "kept": {"features.0": {"outputs": [400]}}, "heads": {}}',
        '{"version": 1, "kept": {"features.0.__class__": {"outputs": [0]}}, "heads": {}}',
        "null",
    ],
)
def test_a_weight_file_that_was_tampered_with_is_refused(cache: Path, record: str) -> None:
    made()
    (file,) = cache.glob("training/*/model.safetensors")
    metadata = {"pruned": record, "inputs": "{}"}
    save_file(load_file(file), file, metadata)
    with pytest.raises(UserError, match="pruned"):
        made()


def test_a_model_that_cannot_be_trained_is_refused_before_any_work(cache: Path) -> None:
    def without(name: str) -> Subject:
        empty = Split.from_arrays({"image": np.zeros((0, 3, 16, 16), np.float32)}, np.zeros(0, np.int64))
        return replace(tiny.subject, split=lambda asked: empty if asked == name else tiny.split(asked))

    for name in ("train", "validation"):
        with pytest.raises(UserError, match="train or validation set is empty"):
            made(subject=without(name))
    unlabelled = tiny.SIGNATURE.model_copy(update={"metric": "none"})
    with pytest.raises(UserError, match="no metric"):
        made(subject=replace(tiny.subject, signature=unlabelled))
    few = replace(tiny.subject, split=lambda asked: tiny.split(asked).take(np.arange(20)))
    with pytest.raises(UserError, match="batches of 32"):
        made(subject=few)
    assert not list(cache.glob("training/*/model.safetensors"))


def test_the_length_is_said_before_the_training_begins(cache: Path) -> None:
    told: list[str] = []

    def progress(what: str, done: int, total: int, note: str = "") -> None:
        told.append(what)

    original = tiny.trained(24)
    pruned(pruned_plan(tiny.subject, original, PRUNING, RECIPE), original, False, progress)
    announced = next(i for i, what in enumerate(told) if "48 steps, under a minute" in what)
    assert announced < told.index("tiny pruned")


def test_a_model_frozen_to_serve_is_trained_all_the_same(cache: Path) -> None:
    frozen = copy.deepcopy(tiny.trained(24)).requires_grad_(False)
    weights = pruned(pruned_plan(tiny.subject, frozen, PRUNING, RECIPE), frozen, False, None)
    assert weights.digest == made().digest


def test_what_was_there_before_is_named(cache: Path) -> None:
    """distilled+pruned: the student's recipe is not lost, and what was pruned is the student."""
    student = tiny.Student().distilled(tiny.trained(24), retrain=False, progress=None)
    weights = operator.transform(tiny.subject, student, retrain=False, progress=None)
    assert weights.recipe["pruned_from"] == {"digest": student.digest, "temperature": 4.0}
    assert sum(p.numel() for p in weights.model.parameters()) < sum(p.numel() for p in student.model.parameters())


@pytest.mark.parametrize("runtime", runtimes.names())
@pytest.mark.parametrize("make", [prunable.cnn, prunable.minilm])
def test_every_runtime_lowers_a_pruned_model(
    make: Callable[[], tuple[nn.Module, Inputs]], runtime: str, tmp_path: Path
) -> None:
    model, example = make()
    groups = find_groups(model, example)
    kept = select(model, groups, magnitude(model, groups), layer_macs(model, example), 0.6, Bounds(multiple=8))
    smaller = copy.deepcopy(model)
    cut(smaller, record_of(model, kept))
    names = ("input_ids", "attention_mask") if len(example) == 2 else ("image",)
    given = work(
        smaller,
        {name: x.numpy() for name, x in zip(names, example, strict=True)},
        (TensorSpec(name="logits", dtype="float32", shape=(1, model(*example).shape[1])),),
        "transformer" if len(example) == 2 else "convolutional",
    )
    made = runtimes.get(runtime)
    files = []
    for name, each in (("pruned", given), ("whole", replace(given, model=model))):
        lowered = made.lower(each, tmp_path / f"{name}{made.suffix}")
        files.append(lowered.file.stat().st_size)
        expected, found = said_by_torch(each), said_by(made, lowered, each)
        assert np.abs(found - expected).max() <= 1e-4 * max(1.0, float(np.abs(expected).max()))
    assert files[0] < files[1]


def test_shipped_weights_are_taken_only_for_the_model_they_were_pruned_from(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from exporter.fetch import sha256_of
    from exporter.training import obtain
    from exporter.training.obtain import Shipped

    first = made()
    (file,) = cache.glob("training/*/model.safetensors")
    shipped = cache / "tiny-pruned.safetensors"
    file.rename(shipped)
    monkeypatch.setattr(obtain, "SHIPPED_FOLDER", cache)
    original = tiny.trained(24)
    plan = pruned_plan(tiny.subject, original, PRUNING, RECIPE, Shipped(shipped.name, sha256_of(shipped)))
    loaded = pruned(plan, original, False, None)
    assert (loaded.origin, loaded.digest) == ("shipped", first.digest)
    assert read_metadata(shipped)["inputs"]["original"] == state_digest(original)
    other = copy.deepcopy(original)
    with torch.no_grad():
        next(other.parameters()).add_(0.01)
    plan = pruned_plan(tiny.subject, other, PRUNING, RECIPE, plan.shipped)
    assert pruned(plan, other, False, None).origin == "trained now"


def test_weights_of_another_cut_do_not_load(cache: Path) -> None:
    made()
    (file,) = cache.glob("training/*/model.safetensors")
    with pytest.raises(UserError, match="another model"):
        load_weights(copy.deepcopy(tiny.trained(24)), file)
