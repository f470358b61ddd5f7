"""`fashion-lite0`: EfficientNet-Lite0 fine-tuned on Fashion-MNIST, and a small CNN distilled from it."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgedeploy.signature import Signature, TensorSpec
from exporter.subjects import fashion_data, fashion_sources
from exporter.subjects.base import Progress, Subject, Weights
from exporter.subjects.efficientnet_lite import EfficientNetLite, rename_published
from exporter.subjects.small_cnn import SmallCnn, Step
from exporter.training.distill import DistilledStudent, hinton_loss, soft_answers
from exporter.training.evaluate import right_of
from exporter.training.loop import StepLoss
from exporter.training.obtain import Plan, Shipped, obtain
from exporter.training.recipe import Recipe, Rows
from exporter.training.weights import state_digest

NAME = "fashion-lite0"
CLASSES = len(fashion_data.LABELS)

SIGNATURE = Signature(
    task="image-classification",
    inputs=(TensorSpec(name="image", dtype="float32", shape=(1, 3, fashion_data.SIDE, fashion_data.SIDE)),),
    outputs=(TensorSpec(name="logits", dtype="float32", shape=(1, CLASSES)),),
    layout="NCHW",
    preprocessing=fashion_data.PREPROCESSING,
    labels=fashion_data.LABELS,
)
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


def _skeleton(progress: Progress | None) -> nn.Module:
    return EfficientNetLite("lite0", CLASSES)


def _start(model: nn.Module, progress: Progress | None) -> None:
    # a pickle, but read with weights_only after its digest has been checked
    published = rename_published(torch.load(fashion_sources.base_weights(progress), weights_only=True))
    torch.manual_seed(TEACHER_RECIPE.seed)
    head = nn.Linear(published["classifier.weight"].shape[1], CLASSES)
    model.load_state_dict({**published, "classifier.weight": head.weight, "classifier.bias": head.bias})
    # twice as fast in training on a CPU
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def train_batch(rows: Rows, rng: np.random.Generator) -> tuple[Tensor, ...]:
    """Training images float32 [b, 3, 64, 64], channels last; half of them mirrored.

    Not shifted, since the articles are centred by how the set was made.
    """
    flipped = rng.random(len(rows)) < 0.5
    pixels = fashion_data.split("train").raw["pixels"][rows]
    pixels = np.where(flipped[:, None, None], pixels[:, :, ::-1], pixels)
    image = torch.from_numpy(fashion_data.preprocess({"pixels": pixels})["image"])
    return (image.contiguous(memory_format=torch.channels_last),)


@cache
def _labels() -> Tensor:
    return torch.from_numpy(fashion_data.split("train").labels)


def _examples(progress: Progress | None) -> tuple[int, StepLoss]:
    def loss(model: nn.Module, rows: Rows, rng: np.random.Generator) -> Tensor:
        return functional.cross_entropy(model(*train_batch(rows, rng)).float(), _labels()[rows])

    return len(fashion_data.split("train")), loss


def validate(model: nn.Module) -> float:
    """Accuracy on the validation set, 0..1."""
    return float(right_of(model, fashion_data.split("validation"), ("image",)).mean())


def teacher_plan(shipped: Shipped | None = TEACHER_SHIPPED) -> Plan:
    """How EfficientNet-Lite0 is fine-tuned."""
    return Plan(
        what=f"{NAME} teacher",
        recipe=TEACHER_RECIPE,
        skeleton=_skeleton,
        start=_start,
        examples=_examples,
        inputs=lambda: {"train": fashion_data.split("train").digest(), "base": fashion_sources.BASE_WEIGHTS.sha256},
        validate=validate,
        shipped=shipped,
    )


def student_plan(teacher: nn.Module, recipe: Recipe = STUDENT_RECIPE, shipped: Shipped | None = STUDENT_SHIPPED) -> Plan:
    """How the small CNN is distilled from a fine-tuned model."""
    temperature, alpha = float(recipe.extra["temperature"]), float(recipe.extra["alpha"])

    def start(model: nn.Module, progress: Progress | None) -> None:
        torch.manual_seed(recipe.seed)
        model.load_state_dict(SmallCnn(STUDENT_STEPS, CLASSES).state_dict())
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def examples(progress: Progress | None) -> tuple[int, StepLoss]:
        train = fashion_data.split("train")
        # its answers to the images as they are stand for the mirrored ones too: it learnt to see no difference
        soft = soft_answers(teacher, train, ("image",), f"{NAME} teacher's answers", progress)

        def loss(model: nn.Module, rows: Rows, rng: np.random.Generator) -> Tensor:
            return hinton_loss(model(*train_batch(rows, rng)), soft[rows], _labels()[rows], temperature, alpha)

        return len(train), loss

    return Plan(
        what=f"{NAME} student",
        recipe=recipe,
        skeleton=lambda progress: SmallCnn(STUDENT_STEPS, CLASSES),
        start=start,
        examples=examples,
        inputs=lambda: {"train": fashion_data.split("train").digest(), "teacher": state_digest(teacher)},
        validate=validate,
        shipped=shipped,
    )


def teacher(retrain: bool, progress: Progress | None) -> Weights:
    """The fine-tuned EfficientNet-Lite0."""
    return obtain(teacher_plan(), retrain, progress)


SUBJECT = Subject(
    name=NAME,
    signature=SIGNATURE,
    model=teacher,
    split=fashion_data.split,
    student=DistilledStudent(student_plan),
    train_batch=train_batch,
    sources=fashion_sources.SOURCES,
)
