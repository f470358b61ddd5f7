"""A subject of your own: edgedeploy export --subject examples/my_model.py:subject

It sorts noisy 16x16 pictures of stripes by their direction. Put your model and your data in its place: a Subject needs
the shapes of inputs and outputs, four sets of examples that share none, and a function that gives the trained model.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from edgedeploy.signature import Signature, TensorSpec
from exporter.subjects.base import Arrays, Progress, Split, SplitName, Subject, Weights
from exporter.training.weights import state_digest

LABELS = ("horizontal", "vertical", "rising", "falling")
#: first picture and number of pictures of each set, out of one endless series
SETS: dict[SplitName, tuple[int, int]] = {
    "train": (0, 1600),
    "validation": (1600, 200),
    "calibration": (1800, 200),
    "evaluation": (2000, 1000),
}


def pictures(first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 [count, 16, 16] and labels int64 [count]; the same number is always the same picture."""
    y, x = np.mgrid[0:16, 0:16]
    across = np.stack([y, x, x + y, x - y])
    made, labels = [], np.arange(first, first + count) % len(LABELS)
    for number, label in zip(range(first, first + count), labels, strict=True):
        rng = np.random.default_rng(number)
        stripes = np.sin(across[label] * rng.uniform(0.8, 1.6) + rng.uniform(0, 6.28))
        made.append(np.clip(127 + 60 * stripes + rng.normal(0, 50, (16, 16)), 0, 255))
    return np.array(made).astype(np.uint8), labels


def preprocess(raw: Arrays) -> dict[str, np.ndarray]:
    """What the model is given, from what is stored: image float32 [b, 1, 16, 16] from pixels uint8 [b, 16, 16]."""
    return {"image": (raw["pixels"][:, None] / 127.5 - 1).astype(np.float32)}


def split(name: SplitName) -> Split:
    """One of the four sets, kept as compact as it comes."""
    pixels, labels = pictures(*SETS[name])
    return Split.from_arrays({"pixels": pixels}, labels, preprocess)


def model(retrain: bool, progress: Progress | None) -> Weights:
    """The trained model in eval mode; here it is trained on the spot, in a few seconds. Load your own instead."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, len(LABELS)),
    )  # fmt: skip
    train = split("train")
    image, labels = torch.from_numpy(train.batch(0, len(train))["image"]), torch.from_numpy(train.labels)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for step in range(100):
        rows = torch.randint(len(train), (64,))
        loss = functional.cross_entropy(net(image[rows]), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if progress is not None:
            progress("training my-model", step + 1, 100, f"loss {loss.item():.3f}")
    net.eval()
    return Weights(net, state_digest(net), "trained now")


subject = Subject(
    name="my-model",
    signature=Signature(
        task="image-classification",
        inputs=(TensorSpec(name="image", dtype="float32", shape=(1, 1, 16, 16)),),
        outputs=(TensorSpec(name="logits", dtype="float32", shape=(1, len(LABELS))),),
        layout="NCHW",
        preprocessing="16x16 grey uint8, x/127.5 - 1",
        labels=LABELS,
    ),
    model=model,
    split=split,
    # The files and folders this code reads, from this file's folder: ["weights.safetensors", "pictures"]. Here none. With it,
    # an export asked for again is answered at once as long as they, this file and what it imports are as they were. Leave it
    # out where something else counts too, such as what a server answers.
    reads=[],
)
