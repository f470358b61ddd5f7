"""`film-minilm`: MiniLM fine-tuned on film review sentences, and one of fewer layers distilled from it."""

from __future__ import annotations

from torch import nn

from exporter.subjects import film_data, film_sources, minilm_sources
from exporter.subjects.base import Progress, Subject, Weights
from exporter.subjects.minilm_training import TextClassifier
from exporter.training.distill import DistilledStudent
from exporter.training.obtain import Plan, Shipped, obtain
from exporter.training.recipe import Recipe

NAME = "film-minilm"
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
_FILM = TextClassifier(NAME, film_data.LABELS, film_data.split)


def teacher_plan(recipe: Recipe = TEACHER_RECIPE, shipped: Shipped | None = TEACHER_SHIPPED) -> Plan:
    """How the six layers are fine-tuned."""
    return _FILM.teacher_plan(recipe, shipped)


def student_plan(teacher: nn.Module, recipe: Recipe = STUDENT_RECIPE, shipped: Shipped | None = STUDENT_SHIPPED) -> Plan:
    """How fewer layers are distilled from a fine-tuned model of this kind."""
    return _FILM.student_plan(teacher, recipe, shipped)


def teacher(retrain: bool, progress: Progress | None) -> Weights:
    """The fine-tuned MiniLM of six layers."""
    return obtain(teacher_plan(), retrain, progress)


SUBJECT = Subject(
    name=NAME,
    signature=_FILM.signature(),
    model=teacher,
    split=film_data.split,
    student=DistilledStudent(student_plan),
    quantise="transformer",
    train_batch=_FILM.train_batch,
    sources=(film_sources.SOURCE, *minilm_sources.SOURCES),
)
