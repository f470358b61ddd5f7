"""The loss, the schedule, the intervals and the weight files, against their definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from edgedeploy.errors import InternalError, UserError
from exporter.subjects.base import Split
from exporter.training.distill import hinton_loss
from exporter.training.evaluate import logits_of, right_of
from exporter.training.recipe import Recipe
from exporter.training.weights import load_weights, read_metadata, save_weights, state_digest
from tests.exporter.training.tiny_run import Net


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("temperature", "alpha"), [(1.0, 1.0), (4.0, 0.9), (2.0, 0.0), (3.0, 0.5)])
def test_the_distillation_loss_is_what_the_paper_says(temperature: float, alpha: float) -> None:
    rng = np.random.default_rng(5)
    student, teacher = rng.normal(0, 3, (2, 7, 4))
    labels = rng.integers(0, 4, 7)
    p, q = softmax(teacher / temperature), softmax(student / temperature)
    soft = float(np.mean(np.sum(p * np.log(p / q), axis=1)))
    hard = float(-np.mean(np.log(softmax(student)[np.arange(7), labels])))
    expected = alpha * temperature**2 * soft + (1 - alpha) * hard
    got = hinton_loss(torch.tensor(student), torch.tensor(teacher), torch.tensor(labels), temperature, alpha)
    assert float(got) == pytest.approx(expected, rel=1e-5)


def test_a_student_that_agrees_with_its_teacher_has_nothing_to_learn() -> None:
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = hinton_loss(logits, logits.detach(), torch.zeros(5, dtype=torch.int64), 4.0, 1.0)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)
    assert gradient.abs().max() < 1e-6


def test_the_rate_rises_to_its_peak_and_falls_to_almost_nothing() -> None:
    recipe = Recipe(epochs=2, batch=10, lr=0.01)
    rates = [recipe.learning_rate(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.01 / 25)
    assert max(rates) == rates[30] == pytest.approx(0.01)
    assert rates[-1] == pytest.approx(1e-6)
    assert rates[:31] == sorted(rates[:31])
    assert rates[30:] == sorted(rates[30:], reverse=True)


def test_an_epoch_takes_every_example_once_and_in_another_order_than_the_last() -> None:
    recipe = Recipe(epochs=2, batch=8, lr=0.1, seed=9)
    assert recipe.steps(40) == 10
    epochs = [np.concatenate([recipe.rows(40, 5 * epoch + step) for step in range(5)]) for epoch in range(2)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(40))] * 2
    assert not np.array_equal(*epochs)
    assert np.array_equal(recipe.rows(40, 7), recipe.rows(40, 7))


def test_the_largest_logit_is_the_answer_and_the_batch_size_does_not_matter() -> None:
    split = Split.from_arrays({"x": np.array([[1, 2], [3, 1], [0, 1]], np.float32)}, [1, 0, 0])
    assert right_of(nn.Identity(), split, ("x",)).tolist() == [True, True, False]
    assert np.array_equal(logits_of(nn.Identity(), split, ("x",), batch=2), split.raw["x"])


def test_a_weight_file_holds_what_was_trained_rounded_and_reads_back_exactly(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model, path = Net(), tmp_path / "model.safetensors"
    model.norm.running_var.fill_(1e-9)
    save_weights(model, path, {"recipe": {"lr": 0.1}, "validation_accuracy": 0.5})
    stored = load_file(path)
    assert not [name for name in stored if name.startswith("frozen")]
    assert {name: stored[name].dtype for name in ("out.weight", "norm.running_var", "norm.num_batches_tracked")} == {
        "out.weight": torch.float16, "norm.running_var": torch.float32, "norm.num_batches_tracked": torch.int64,
    }  # fmt: skip
    other = Net()
    other.frozen.load_state_dict(model.frozen.state_dict())
    load_weights(other, path)
    assert not other.training
    assert torch.equal(other.out.weight, model.out.weight.half().float())
    assert float(other.norm.running_var[0]) == pytest.approx(1e-9)
    assert read_metadata(path) == {"recipe": {"lr": 0.1}, "validation_accuracy": 0.5}
    load_weights(model, path)
    assert state_digest(model) == state_digest(other)
    assert state_digest(model) != state_digest(Net())


def test_a_weight_that_float16_cannot_hold_is_an_error(tmp_path: Path) -> None:
    model = Net()
    with torch.no_grad():
        model.out.weight[0, 0] = 1e6
    with pytest.raises(InternalError, match=r"out\.weight"):
        save_weights(model, tmp_path / "model.safetensors", {})
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_model_or_damaged_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_weights(nn.Linear(3, 2), path, {})
    with pytest.raises(UserError, match="another model"):
        load_weights(Net(), path)
    with pytest.raises(UserError, match="another model: weight differs"):
        load_weights(nn.Linear(3, 4), path)
    path.write_bytes(path.read_bytes()[:-3])
    for use in (lambda: load_weights(nn.Linear(3, 2), path), lambda: read_metadata(path)):
        with pytest.raises(UserError):
            use()
