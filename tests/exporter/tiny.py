"""A subject small enough to export in seconds: 8x8 pictures of four patterns, a CNN that learns them at once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from edgedeploy.signature import Signature, TensorSpec
from exporter.subjects.base import Arrays, Progress, Split, SplitName, Subject, Weights

SIGNATURE = Signature(
    task="image-classification",
    inputs=(TensorSpec(name="image", dtype="float32", shape=(1, 3, 16, 16)),),
    outputs=(TensorSpec(name="logits", dtype="float32", shape=(1, 4)),),
    labels=("rows", "columns", "checks", "flat"),
)
SIZES: dict[SplitName, tuple[int, int]] = {
    "train": (0, 256), "validation": (256, 96), "calibration": (352, 64), "evaluation": (416, 200),
}  # fmt: skip


def pictures(start: int, count: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Pictures start..start+count of an endless seeded series, uint8 [n, 16, 16], and their labels."""
    labels = np.arange(start, start + count, dtype=np.int64) % 4
    rows, columns = np.indices((16, 16))
    patterns = np.stack([rows % 2, columns % 2, (rows + columns) % 2, np.full((16, 16), 0.5)])
    made = np.empty((count, 16, 16), np.uint8)
    for i in range(count):
        noise = np.random.default_rng(start + i).normal(0, 0.25, (16, 16))
        made[i] = np.clip((patterns[labels[i]] + noise) * 160 + 40, 0, 255)
    return made, labels


def preprocess(raw: Arrays) -> dict[str, npt.NDArray[Any]]:
    pixels = (raw["pixels"].astype(np.float32) / 255 - 0.5) / 0.25
    return {"image": np.repeat(pixels[:, None], 3, axis=1)}


def split(name: SplitName) -> Split:
    pixels, labels = pictures(*SIZES[name])
    return Split({"pixels": pixels}, labels, preprocess)


class Net(nn.Module):
    """Three convolutions and a linear layer; `width` channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(2 * width, 4)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        head: torch.Tensor = self.head(self.features(image).mean((2, 3)))
        return head


@lru_cache
def trained(width: int) -> nn.Module:
    torch.manual_seed(0)
    net = Net(width)
    data = split("train")
    images, labels = torch.from_numpy(data.batch(0, len(data))["image"]), torch.from_numpy(data.labels)
    optimiser = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()
        optimiser.step()
    return net.eval()


class Student:
    """A third as wide. Not really taught by the teacher: it is the pipeline that is under test, not the training."""

    def distilled(self, teacher: nn.Module, *, retrain: bool, progress: Progress | None) -> Weights:
        return Weights(trained(8), "5" * 64, "trained now", {"temperature": 4.0})


def model(retrain: bool, progress: Progress | None) -> Weights:
    return Weights(trained(24), "7" * 64, "trained now")


subject = Subject(name="tiny", signature=SIGNATURE, model=model, split=split, student=Student())
