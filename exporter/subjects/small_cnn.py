"""A small plain CNN: the student of image subjects. 3x3 convolutions, batch norm, ReLU, a mean and a linear layer.

Every operator has a fast int8 kernel in every runtime, and batch norm folds into the convolution before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Step:
    """One convolution: output channels, and by how much it shrinks height and width."""

    channels: int
    stride: int = 1
    kernel: int = 3


class SmallCnn(nn.Module):
    """image float32 [b, channels, h, w] -> logits float32 [b, classes]. Shrinks the image from the first step on."""

    def __init__(self, steps: tuple[Step, ...], classes: int, channels: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels
        for step in steps:
            layers += [
                nn.Conv2d(inputs, step.channels, step.kernel, step.stride, step.kernel // 2, bias=False),
                nn.BatchNorm2d(step.channels),
                nn.ReLU(),
            ]
            inputs = step.channels
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(inputs, classes)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.classifier(torch.flatten(self.pool(self.features(image)), 1))
        return logits
