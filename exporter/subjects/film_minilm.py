"""`film-minilm`: MiniLM fine-tuned on film review sentences, and one of fewer layers distilled from it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from edgedeploy.signature import Signature, TensorSpec
from exporter.subjects import film_data, film_sources
from exporter.subjects.base import Progress, Subject, Weights
from exporter.subjects.minilm import Config, MiniLM, rename_published
from exporter.training.distill import DistilledStudent, hinton_loss, soft_answers
from exporter.training.evaluate import right_of
from exporter.training.loop import StepLoss
from exporter.training.obtain import Plan, Shipped, obtain
from exporter.training.recipe import Recipe, Rows
from exporter.training.weights import state_digest

NAME = "film-minilm"
INPUTS = ("input_ids", "attention_mask")

SIGNATURE = Signature(
    task="text-classification",
    inputs=tuple(TensorSpec(name=name, dtype="int64", shape=(1, film_data.LENGTH)) for name in INPUTS),
    outputs=(TensorSpec(name="logits", dtype="float32", shape=(1, len(film_data.LABELS))),),
    layout="NL",
    preprocessing=film_data.PREPROCESSING,
    tokenizer=f"all-MiniLM-L6-v2 tokenizer.json sha256:{film_sources.TOKENIZER.sha256}",
    labels=film_data.LABELS,
)
TEACHER_RECIPE = Recipe(epochs=3, batch=32, lr=1.5e-4, precision="bfloat16", extra={"layers": [0, 1, 2, 3, 4, 5]})
#: layers: those of the fine-tuned teacher that the student starts from
STUDENT_RECIPE = Recipe(
    epochs=4,
    batch=32,
    lr=2e-4,
    precision="bfloat16",
    extra={"layers": [0, 3], "temperature": 2.0, "alpha": 0.7},
)
TEACHER_SHIPPED: Shipped | None = Shipped(
    "film-minilm-teacher.safetensors", "8bc08efff00a242c4a3e0caf4260b9bc1dfcf2f7c1ae05ec476c708979ffddf8"
)
STUDENT_SHIPPED: Shipped | None = Shipped(
    "film-minilm-student.safetensors", "de396bcd4da91fefa262ce31b88d0174f05644c326536653cd2e0ab9f510be84"
)


@cache
def _published() -> dict[str, Tensor]:
    published: dict[str, Tensor] = load_file(film_sources.base_weights())
    return published


def _skeleton(layers: int) -> MiniLM:
    """A model whose frozen embeddings are the published ones; the rest waits for its weights."""
    model = MiniLM(Config(layers=layers, length=film_data.LENGTH))
    model.load_state_dict(rename_published(_published(), film_data.LENGTH, range(layers)), strict=False)
    return model


def _start(model: nn.Module, layers: Sequence[int], seed: int, teacher: nn.Module | None = None) -> None:
    """The encoder from the teacher's layers, or from the published ones; the classifier from the seed or teacher."""
    torch.manual_seed(seed)
    head = nn.Linear(Config.hidden, Config.classes)
    state = rename_published(_published(), film_data.LENGTH, layers)
    state |= {"classifier.weight": head.weight.detach(), "classifier.bias": head.bias.detach()}
    if teacher is not None:
        state |= _taken_over(teacher.state_dict(), layers)
    model.load_state_dict(state)


def _taken_over(teacher: dict[str, Tensor], layers: Sequence[int]) -> dict[str, Tensor]:
    """The teacher's tensors under the names they have in a student of these layers."""
    taken = {name: tensor for name, tensor in teacher.items() if not name.startswith("layers.")}
    for ours, theirs in enumerate(layers):
        prefix = f"layers.{theirs}."
        for name, tensor in teacher.items():
            if name.startswith(prefix):
                taken[f"layers.{ours}.{name.removeprefix(prefix)}"] = tensor
    return taken


def train_batch(rows: Rows, rng: np.random.Generator) -> tuple[Tensor, ...]:
    """Training inputs int64 [b, l]; columns that are padding in the whole batch are left out, which changes nothing."""
    arrays = film_data.preprocess({"ids": film_data.split("train").raw["ids"][rows]})
    longest = int(arrays["attention_mask"].sum(axis=1).max())
    ids, mask = (torch.from_numpy(np.ascontiguousarray(arrays[name][:, :longest])) for name in INPUTS)
    return ids, mask


@cache
def _labels() -> Tensor:
    return torch.from_numpy(film_data.split("train").labels)


def validate(model: nn.Module) -> float:
    """Accuracy on the validation set, 0..1."""
    return float(right_of(model, film_data.split("validation"), INPUTS).mean())


def _teacher_examples(progress: Progress | None) -> tuple[int, StepLoss]:
    def loss(model: nn.Module, rows: Rows, rng: np.random.Generator) -> Tensor:
        return functional.cross_entropy(model(*train_batch(rows, rng)).float(), _labels()[rows])

    return len(film_data.split("train")), loss


def teacher_plan(recipe: Recipe = TEACHER_RECIPE, shipped: Shipped | None = TEACHER_SHIPPED) -> Plan:
    """How the six layers are fine-tuned."""
    layers = list(recipe.extra["layers"])
    return Plan(
        what=f"{NAME} teacher",
        recipe=recipe,
        skeleton=lambda progress: _skeleton(len(layers)),
        start=lambda model, progress: _start(model, layers, recipe.seed),
        examples=_teacher_examples,
        inputs=lambda: {"train": film_data.split("train").digest(), "base": film_sources.BASE_WEIGHTS.sha256},
        validate=validate,
        shipped=shipped,
    )


def student_plan(teacher: nn.Module, recipe: Recipe = STUDENT_RECIPE, shipped: Shipped | None = STUDENT_SHIPPED) -> Plan:
    """How fewer layers are distilled from a fine-tuned model of this kind."""
    layers = list(recipe.extra["layers"])
    temperature, alpha = float(recipe.extra["temperature"]), float(recipe.extra["alpha"])

    def examples(progress: Progress | None) -> tuple[int, StepLoss]:
        train = film_data.split("train")
        soft = soft_answers(teacher, train, INPUTS, f"{NAME} teacher's answers", progress)

        def loss(model: nn.Module, rows: Rows, rng: np.random.Generator) -> Tensor:
            return hinton_loss(model(*train_batch(rows, rng)), soft[rows], _labels()[rows], temperature, alpha)

        return len(train), loss

    return Plan(
        what=f"{NAME} student",
        recipe=recipe,
        skeleton=lambda progress: _skeleton(len(layers)),
        start=lambda model, progress: _start(model, layers, recipe.seed, teacher),
        examples=examples,
        inputs=lambda: {
            "train": film_data.split("train").digest(),
            "base": film_sources.BASE_WEIGHTS.sha256,
            "teacher": state_digest(teacher),
        },
        validate=validate,
        shipped=shipped,
    )


def teacher(retrain: bool, progress: Progress | None) -> Weights:
    """The fine-tuned MiniLM of six layers."""
    return obtain(teacher_plan(), retrain, progress)


SUBJECT = Subject(
    name=NAME,
    signature=SIGNATURE,
    model=teacher,
    split=film_data.split,
    student=DistilledStudent(student_plan),
    quantise="transformer",
    train_batch=train_batch,
    sources=film_sources.SOURCES,
)
