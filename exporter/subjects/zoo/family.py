"""Whether a model is convolutional or a transformer, which decides what int8 quantises."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn


def family(model: nn.Module, inputs: tuple[Tensor, ...]) -> Literal["convolutional", "transformer"]:
    """By where its multiplications are: in convolutions, or in linear layers.

    A vision transformer has a convolution too, and many a CNN a linear layer, so counting modules would not tell.
    inputs: one example, leading axis 1.
    """
    macs = {"convolutional": 0, "transformer": 0}

    def seen(module: nn.Module, given: Any, result: Tensor) -> None:
        if isinstance(module, nn.Linear):
            macs["transformer"] += result.numel() * module.in_features
        elif isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            macs["convolutional"] += result.numel() * module.weight[0].numel()

    hooks = [
        module.register_forward_hook(seen)
        for module in model.modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
    ]
    try:
        with torch.no_grad():
            model(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return "convolutional" if macs["convolutional"] >= macs["transformer"] else "transformer"
