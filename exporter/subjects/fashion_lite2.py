"""`fashion-lite2`: EfficientNet-Lite2 fine-tuned on Fashion-MNIST, and a part of its small sibling distilled from it."""

from __future__ import annotations

from torch import nn

from exporter.subjects import fashion_data, fashion_sources, fashion_training
from exporter.subjects.base import Progress, Subject, Weights
from exporter.subjects.efficientnet_lite import EfficientNetLite
from exporter.subjects.fashion_training import CLASSES
from exporter.training.distill import DistilledStudent
from exporter.training.obtain import Plan, Shipped, obtain
from exporter.training.recipe import Recipe

NAME = "fashion-lite2"
TEACHER_RECIPE = Recipe(epochs=3, batch=128, lr=2e-3, extra={"flip": True})
#: of Lite0's seven. The whole of it in int8 was only 2.8 (ExecuTorch) to 4.1 (LiteRT) times as fast as Lite2 in float on
#: one x86_64 thread, five stages 3.8 to 5.9, four 5.1 to 8.1: from the fifth stage on a 64 px image is 4x4 and smaller,
#: where a network for ImageNet's thousand classes has most of its weights and ten classes of articles need few of them
STUDENT_STAGES = 4
STUDENT_RECIPE = Recipe(
    epochs=3, batch=128, lr=2e-3, extra={"flip": True, "temperature": 2.0, "alpha": 0.5, "stages": STUDENT_STAGES}
)
TEACHER_SHIPPED: Shipped | None = Shipped(
    "fashion-lite2-teacher.safetensors", "b5b9e248e6d7847a499638135bdfbaf05244f825aaed164740748932d67b7c16"
)
STUDENT_SHIPPED: Shipped | None = Shipped(
    "fashion-lite2-student.safetensors", "b57708905e4db8ee14bce5434c42b6bf0e7818e5306b89eb5005466b4d466f16"
)


def teacher_plan(recipe: Recipe = TEACHER_RECIPE, shipped: Shipped | None = TEACHER_SHIPPED) -> Plan:
    """How EfficientNet-Lite2 is fine-tuned."""
    return fashion_training.teacher_plan(NAME, "lite2", fashion_sources.LITE2_WEIGHTS, recipe, shipped)


def student_plan(teacher: nn.Module, recipe: Recipe = STUDENT_RECIPE, shipped: Shipped | None = STUDENT_SHIPPED) -> Plan:
    """How the first stages of EfficientNet-Lite0 are distilled from a fine-tuned model."""
    stages = int(recipe.extra["stages"])

    def network() -> nn.Module:
        return EfficientNetLite("lite0", CLASSES, stages)

    base = fashion_sources.LITE0_WEIGHTS
    start = fashion_training.start_from_published(base, recipe.seed)
    return fashion_training.student_plan(NAME, teacher, network, start, recipe, shipped, {"base": base.sha256})


def teacher(retrain: bool, progress: Progress | None) -> Weights:
    """The fine-tuned EfficientNet-Lite2."""
    return obtain(teacher_plan(), retrain, progress)


SUBJECT = Subject(
    name=NAME,
    signature=fashion_training.SIGNATURE,
    model=teacher,
    split=fashion_data.split,
    student=DistilledStudent(student_plan),
    train_batch=fashion_training.train_batch,
    sources=(*fashion_sources.DATA_SOURCES, fashion_sources.LITE2_SOURCE, fashion_sources.LITE0_SOURCE),
)
