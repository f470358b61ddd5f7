"""`fashion-lite0`: EfficientNet-Lite0 fine-tuned on Fashion-MNIST, and a small CNN distilled from it."""

from __future__ import annotations

from torch import nn

from exporter.subjects import fashion_data, fashion_sources, fashion_training
from exporter.subjects.base import Progress, Subject, Weights
from exporter.subjects.fashion_training import CLASSES
from exporter.subjects.small_cnn import SmallCnn, Step
from exporter.training.distill import DistilledStudent
from exporter.training.obtain import Plan, Shipped, obtain
from exporter.training.recipe import Recipe

NAME = "fashion-lite0"
TEACHER_RECIPE = Recipe(epochs=2, batch=128, lr=1e-3, extra={"flip": True})
#: 8.0 million multiply-adds, a quarter of the teacher's 31.4, and all of them in plain convolutions
STUDENT_STEPS = (Step(16, 2), Step(24, 2), Step(32), Step(48, 2), Step(64), Step(96, 2), Step(96))
STUDENT_RECIPE = Recipe(epochs=12, batch=128, lr=4e-3, extra={"flip": True, "temperature": 4.0, "alpha": 0.7})
TEACHER_SHIPPED: Shipped | None = Shipped(
    "fashion-lite0-teacher.safetensors", "bb5f448b49ee92155da8bfe1e81cf045d9fc4f3cd5a945775323e4bfffd0ce50"
)
STUDENT_SHIPPED: Shipped | None = Shipped(
    "fashion-lite0-student.safetensors", "1bd53f1e7099a4797c431aebc309027ebf19709ff236f755110015191710138a"
)


def teacher_plan(recipe: Recipe = TEACHER_RECIPE, shipped: Shipped | None = TEACHER_SHIPPED) -> Plan:
    """How EfficientNet-Lite0 is fine-tuned."""
    return fashion_training.teacher_plan(NAME, "lite0", fashion_sources.LITE0_WEIGHTS, recipe, shipped)


def student_plan(teacher: nn.Module, recipe: Recipe = STUDENT_RECIPE, shipped: Shipped | None = STUDENT_SHIPPED) -> Plan:
    """How the small CNN is distilled from a fine-tuned model."""

    def network() -> nn.Module:
        return SmallCnn(STUDENT_STEPS, CLASSES)

    start = fashion_training.start_from_seed(network, recipe.seed)
    return fashion_training.student_plan(NAME, teacher, network, start, recipe, shipped)


def teacher(retrain: bool, progress: Progress | None) -> Weights:
    """The fine-tuned EfficientNet-Lite0."""
    return obtain(teacher_plan(), retrain, progress)


SUBJECT = Subject(
    name=NAME,
    signature=fashion_training.SIGNATURE,
    model=teacher,
    split=fashion_data.split,
    student=DistilledStudent(student_plan),
    train_batch=fashion_training.train_batch,
    sources=(*fashion_sources.DATA_SOURCES, fashion_sources.LITE0_SOURCE),
)
