"""Quantisation-aware training of a subject: what comes out, how it is kept, and what each runtime makes of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from edgedeploy import bundle, isa
from edgedeploy.errors import UserError
from exporter import runtimes
from exporter.export import export
from exporter.operators.qat import operator
from exporter.options import Options
from exporter.subjects.base import Weights
from exporter.training.evaluate import right_of
from exporter.training.qat import KEY, _calibration, qat, qat_plan
from exporter.training.qat_fake import ActivationRange, PerChannelWeight
from exporter.training.qat_graph import training_graph
from exporter.training.qat_recipes import QatRecipe, ShortRecipe
from exporter.training.qat_trainee import Trainee
from exporter.training.recipe import Rows
from exporter.training.weights import read_metadata, state_digest
from tests.exporter import tiny

RECIPE = QatRecipe(ShortRecipe(epochs=4, batch=32, lr=1e-3, warmup=0.1, extra={"steps": 20, "freeze": 0.4}))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEDEPLOY_CACHE", str(path))
        yield path


@pytest.fixture(scope="module")
def made(cache: Path) -> Weights:
    return qat(tiny.subject, tiny.trained(24), RECIPE, False, None)


def test_the_weights_change_and_the_model_trained_from_does_not(made: Weights) -> None:
    before = state_digest(tiny.trained(24))
    assert made.digest == state_digest(made.model) != before
    assert made.recipe["trained_from"] == before
    assert made.origin == "trained now"
    assert not made.model.training
    assert type(made.model) is type(tiny.trained(24))


def test_every_range_is_of_one_tensor_and_holds_zero_or_what_was_seen(made: Weights) -> None:
    assert len(made.ranges) >= 5
    for each in made.ranges:
        assert each.low <= each.high
        # what int8 spans is near what the tensor holds; a moving average is not its extremes
        assert each.low >= each.mark.quantiles[0] * 3 - 1
        assert each.high <= each.mark.quantiles[-1] * 3 + 1


def test_a_second_call_takes_it_from_the_cache_with_the_same_ranges(made: Weights) -> None:
    again = qat(tiny.subject, tiny.trained(24), RECIPE, False, None)
    assert (again.origin, again.digest, again.ranges) == ("cache", made.digest, made.ranges)


def test_the_last_steps_leave_ranges_and_statistics_as_they_are() -> None:
    model = copy.deepcopy(tiny.trained(24))
    graph = training_graph(model, _calibration(tiny.subject, 2), "full")
    trainee = Trainee(model, graph.ranges, graph.graph, freeze_at=2)
    trainee.train()
    batch = torch.from_numpy(tiny.split("train").batch(0, 32)["image"])
    for _ in range(2):
        trainee(batch)
    frozen = {name: tensor.clone() for name, tensor in trainee.state_dict().items() if name != "step"}
    trainee(batch * 3)
    assert int(trainee.step) == 3
    for name, tensor in trainee.state_dict().items():
        assert name == "step" or torch.equal(tensor, frozen[name]), name


def test_what_training_simulates_is_int8() -> None:
    """The fake-quantised tensors hold at most 256 values, a weight's channel at most 255, its extremes among them."""
    rounding = ActivationRange()
    rounding.enable_observer(True)
    x = torch.linspace(-1.3, 2.7, 5000)
    y = rounding(x)
    assert len(y.unique()) <= 256
    assert float((x - y).abs().max()) <= 4.0 / 255
    weight = torch.randn(6, 40, generator=torch.Generator().manual_seed(0))
    rounded = PerChannelWeight()(weight)
    for channel, before in zip(rounded, weight, strict=True):
        assert len(channel.unique()) <= 255
        assert float(channel.abs().max()) == pytest.approx(float(before.abs().max()), rel=1e-6)


@pytest.mark.parametrize("damage", ["no marks", "another version", "a number too many", "not finite"])
def test_a_weight_file_without_its_ranges_is_refused(made: Weights, cache: Path, damage: str) -> None:
    plan = qat_plan(tiny.subject, tiny.trained(24), RECIPE)
    file = cache / "training" / plan.key() / "model.safetensors"
    kept = file.read_bytes()
    tensors, metadata = load_file(file), read_metadata(file)
    if damage == "no marks":
        del metadata[KEY]
    elif damage == "another version":
        metadata[KEY]["version"] = 99
    elif damage == "a number too many":
        metadata[KEY]["of"][0]["range"] = 77
    else:
        tensors["ranges.0.low"] = torch.tensor(float("nan"))
    save_file(tensors, file, {key: json.dumps(value) for key, value in metadata.items()})
    try:
        with pytest.raises(UserError, match="--retrain"):
            qat(tiny.subject, tiny.trained(24), RECIPE, False, None)
    finally:
        file.write_bytes(kept)


def test_a_subject_without_classes_is_refused_before_any_work() -> None:
    signature = tiny.SIGNATURE.model_copy(update={"metric": "none", "labels": ()})
    assert operator.refuses(tiny.subject) is None
    said = operator.refuses(replace(tiny.subject, signature=signature))
    assert said is not None
    assert "sptq" in said


@pytest.mark.parametrize("runtime", runtimes.names())
def test_every_runtime_takes_the_trained_ranges_over(cache: Path, tmp_path: Path, runtime: str) -> None:
    """One training run serves all three: the bundles name the same weights."""
    options = Options(isa.host_target(), 32, ("minmax",))
    identity, outcome = export([tiny.subject], ["qat"], [runtimes.get(runtime)], tmp_path, options)
    assert outcome.error is None, outcome.error
    manifest = bundle.read(outcome.path).manifest
    assert manifest.recipe.parameters["calibration"] == "trained"
    found, _, rest = str(manifest.recipe.parameters["trained_ranges"]).partition(" of ")
    assert int(found) >= 0.8 * int(rest.split()[0])
    assert all(op.compute == "int8" for stage in manifest.stages if stage.coverage for op in stage.coverage.heavy)
    assert manifest.lineage.student == _digest(cache)
    assert manifest.drop is not None
    assert manifest.drop.points <= 1.0
    assert identity.error is None


def _digest(cache: Path) -> str:
    """Of the model trained by the subject's own recipe, which is the first runtime's doing and then in the cache."""
    weights = operator.transform(tiny.subject, tiny.subject.model(False, None), retrain=False, progress=None)
    assert weights.origin == "cache"
    return weights.digest


def test_it_is_as_accurate_as_the_float_model(made: Weights) -> None:
    right = [right_of(model, tiny.split("evaluation"), ("image",)) for model in (made.model, tiny.trained(24))]
    assert np.mean(right[0]) >= np.mean(right[1]) - 0.01


def test_batches_that_a_subject_cuts_short_are_fed_whole(cache: Path) -> None:
    """As the text subjects do with padding: the traced graph takes one length."""
    seen = []

    def cut(rows: Rows, rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
        whole = torch.from_numpy(tiny.split("train").take(rows).batch(0, len(rows))["image"])
        seen.append(len(seen))
        return (whole if len(seen) % 2 else whole[..., :12],)

    short = replace(tiny.subject, train_batch=cut)
    recipe = QatRecipe(ShortRecipe(epochs=1, batch=16, lr=1e-4, extra={"steps": 4, "freeze": 0.5}))
    assert qat(short, tiny.trained(24), recipe, False, None).origin == "trained now"
    assert len(seen) >= 4
