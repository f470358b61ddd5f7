"""`news-minilm`: MiniLM fine-tuned on 20 newsgroups, and one of fewer layers distilled from it."""

from __future__ import annotations

from torch import nn

from exporter.subjects import minilm_sources, news_data, news_sources
from exporter.subjects.base import Progress, Subject, Weights
from exporter.subjects.minilm_training import TextClassifier
from exporter.training.distill import DistilledStudent
from exporter.training.obtain import Plan, Shipped, obtain
from exporter.training.recipe import Recipe

NAME = "news-minilm"
TEACHER_RECIPE = Recipe(epochs=2, batch=32, lr=1.5e-4, precision="bfloat16", extra={"layers": [0, 1, 2, 3, 4, 5]})
#: layers: those of the fine-tuned teacher that the student starts from
STUDENT_RECIPE = Recipe(
    epochs=4,
    batch=32,
    lr=2e-4,
    precision="bfloat16",
    extra={"layers": [0, 2, 4], "match": [1, 3, 5], "hidden": 1.0, "temperature": 2.0, "alpha": 0.7},
)
TEACHER_SHIPPED: Shipped | None = Shipped(
    "news-minilm-teacher.safetensors", "7058f86dfeb168f760c08bc5e3f0c9aad4a1ca3f2841fbc0d847f08db30951fa"
)
STUDENT_SHIPPED: Shipped | None = Shipped(
    "news-minilm-student.safetensors", "df463e7b620a8dbd8d31c987bb5d2e951972ae78c37230739e9c9add5d85b675"
)
_NEWS = TextClassifier(NAME, news_data.LABELS, news_data.split)


def teacher_plan(recipe: Recipe = TEACHER_RECIPE, shipped: Shipped | None = TEACHER_SHIPPED) -> Plan:
    """How the six layers are fine-tuned."""
    return _NEWS.teacher_plan(recipe, shipped)


def student_plan(teacher: nn.Module, recipe: Recipe = STUDENT_RECIPE, shipped: Shipped | None = STUDENT_SHIPPED) -> Plan:
    """How fewer layers are distilled from a fine-tuned model of this kind."""
    return _NEWS.student_plan(teacher, recipe, shipped)


def teacher(retrain: bool, progress: Progress | None) -> Weights:
    """The fine-tuned MiniLM of six layers."""
    return obtain(teacher_plan(), retrain, progress)


SUBJECT = Subject(
    name=NAME,
    signature=_NEWS.signature(),
    model=teacher,
    split=news_data.split,
    student=DistilledStudent(student_plan),
    quantise="transformer",
    train_batch=_NEWS.train_batch,
    sources=(*news_sources.SOURCES, *minilm_sources.SOURCES),
)
