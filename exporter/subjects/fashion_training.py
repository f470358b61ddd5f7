"""What the Fashion-MNIST subjects have in common: signature, augmentation, fine-tuning and distillation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgedeploy.signature import Signature, TensorSpec
from exporter.fetch import Download, fetch
from exporter.subjects import fashion_data
from exporter.subjects.base import Progress
from exporter.subjects.efficientnet_lite import EfficientNetLite, rename_published
from exporter.training import processes
from exporter.training.distill import hinton_loss, soft_answers
from exporter.training.evaluate import right_of
from exporter.training.loop import StepLoss
from exporter.training.obtain import Plan, Shipped
from exporter.training.recipe import Recipe, Rows
from exporter.training.weights import state_digest

CLASSES = len(fashion_data.LABELS)
INPUTS = ("image",)
SIGNATURE = Signature(
    task="image-classification",
    inputs=(TensorSpec(name="image", dtype="float32", shape=(1, 3, fashion_data.SIDE, fashion_data.SIDE)),),
    outputs=(TensorSpec(name="logits", dtype="float32", shape=(1, CLASSES)),),
    layout="NCHW",
    preprocessing=fashion_data.PREPROCESSING,
    labels=fashion_data.LABELS,
)
#: sets the weights that training starts from, in place
Start = Callable[[nn.Module, Progress | None], None]


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


def validate(model: nn.Module) -> float:
    """Accuracy on the validation set, 0..1."""
    return float(right_of(model, fashion_data.split("validation"), INPUTS).mean())


def start_from_published(base: Download, seed: int) -> Start:
    """A start from published ImageNet weights; the classifier is drawn from the seed, as wide as the model's.

    What the model does not have (a network cut short) is left out.
    """

    def start(model: nn.Module, progress: Progress | None) -> None:
        # a pickle, but read with weights_only after its digest has been checked
        published = rename_published(torch.load(fetch(base, progress), weights_only=True))
        torch.manual_seed(seed)
        head = nn.Linear(model.get_parameter("classifier.weight").shape[1], CLASSES)
        state = {**published, "classifier.weight": head.weight, "classifier.bias": head.bias}
        model.load_state_dict({name: state[name] for name in model.state_dict()})
        # twice as fast in training on a CPU
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    return start


def start_from_seed(network: Callable[[], nn.Module], seed: int) -> Start:
    """A start from random weights, as PyTorch draws them for this network."""

    def start(model: nn.Module, progress: Progress | None) -> None:
        torch.manual_seed(seed)
        model.load_state_dict(network().state_dict())
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    return start


def _examples(progress: Progress | None) -> tuple[int, StepLoss]:
    def loss(model: nn.Module, rows: Rows, rng: np.random.Generator) -> Tensor:
        image, right = processes.current().mine(*train_batch(rows, rng), _labels()[rows])
        return functional.cross_entropy(model(image).float(), right)

    return len(fashion_data.split("train")), loss


def teacher_plan(name: str, variant: str, base: Download, recipe: Recipe, shipped: Shipped | None) -> Plan:
    """How an EfficientNet-Lite `variant` is fine-tuned for the subject `name`, from its published weights `base`."""
    return Plan(
        what=f"{name} teacher",
        recipe=recipe,
        skeleton=lambda progress: EfficientNetLite(variant, CLASSES),
        start=start_from_published(base, recipe.seed),
        examples=_examples,
        inputs=lambda: {"train": fashion_data.split("train").digest(), "base": base.sha256},
        validate=validate,
        shipped=shipped,
    )


def student_plan(
    name: str,
    teacher: nn.Module,
    network: Callable[[], nn.Module],
    start: Start,
    recipe: Recipe,
    shipped: Shipped | None,
    base: Mapping[str, str] | None = None,
) -> Plan:
    """How a `network` is distilled from a fine-tuned model; `base`: digests of what `start` reads besides the seed.

    recipe.extra has the temperature and alpha of `hinton_loss`. Where alpha is 0 the teacher is not asked, and the run is the
    same whoever it would be.
    """
    temperature, alpha = float(recipe.extra["temperature"]), float(recipe.extra["alpha"])

    def taught(progress: Progress | None) -> tuple[int, StepLoss]:
        train = fashion_data.split("train")
        # its answers to the images as they are stand for the mirrored ones too: it learnt to see no difference
        soft = soft_answers(teacher, train, INPUTS, f"{name} teacher's answers", progress)

        def loss(model: nn.Module, rows: Rows, rng: np.random.Generator) -> Tensor:
            image, answers, right = processes.current().mine(*train_batch(rows, rng), soft[rows], _labels()[rows])
            return hinton_loss(model(image), answers, right, temperature, alpha)

        return len(train), loss

    return Plan(
        what=f"{name} student",
        recipe=recipe,
        skeleton=lambda progress: network(),
        start=start,
        examples=taught if alpha else _examples,
        inputs=lambda: {
            "train": fashion_data.split("train").digest(),
            **({"teacher": state_digest(teacher)} if alpha else {}),
            **(base or {}),
        },
        validate=validate,
        shipped=shipped,
    )
