"""Fake quantisation: float tensors rounded to the steps that int8 would have, with the gradient of the identity inside.

B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018,
https://arxiv.org/abs/1712.05877: weights over their extremes, activations over a moving average of theirs.

Imports torch and torchao: only imported where a model is being trained.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchao.quantization.pt2e.fake_quantize import FakeQuantizeBase

from exporter.training.qat_trainee import Ends

#: share of a new batch's extremes in the moving average, PyTorch's default
MOMENTUM = 0.01
#: smallest scales, as the backends have them: of activations XNNPACK's, of weights that of PyTorch's observers
ACTIVATION_EPS, WEIGHT_EPS = 2.0**-12, 2.0**-23
#: int8, symmetric for weights
LOW, HIGH, LIMIT = -128, 127, 127


class ActivationRange(FakeQuantizeBase):  # type: ignore[misc]
    """int8 per tensor, affine, over `ends`, which follow what is seen as long as the observer is enabled."""

    def __init__(self, **given: Any) -> None:
        super().__init__()
        self.ends = Ends()

    def forward(self, x: Tensor) -> Tensor:
        """The tensor as int8 would have it."""
        if self.observer_enabled[0]:
            self.ends.follow(x.detach(), MOMENTUM)
        if not self.fake_quant_enabled[0] or not self.ends.seen:
            return x
        scale, zero_point = self.calculate_qparams()
        return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, LOW, HIGH)

    def calculate_qparams(self, **given: Any) -> tuple[Tensor, Tensor]:
        """Scale and zero point; zero is always one of the steps."""
        low, high = self.ends.low.clamp(max=0.0), self.ends.high.clamp(min=0.0)
        scale = ((high - low) / (HIGH - LOW)).clamp(min=ACTIVATION_EPS)
        zero_point = torch.round(LOW - low / scale).clamp(LOW, HIGH).to(torch.int32)
        return scale, zero_point


class PerChannelWeight(FakeQuantizeBase):  # type: ignore[misc]
    """int8 per channel of axis 0, symmetric, over the extremes that the weight has now: every lowering does the same.

    A batch norm after it need not be folded in first: folding scales a channel, and its steps scale with it.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__()

    def forward(self, weight: Tensor) -> Tensor:
        """The weight as int8 would have it."""
        if not self.fake_quant_enabled[0]:
            return weight
        scale, zero_point = self._qparams(weight.detach())
        return torch.fake_quantize_per_channel_affine(weight, scale, zero_point, 0, -LIMIT, LIMIT)

    @staticmethod
    def _qparams(weight: Tensor) -> tuple[Tensor, Tensor]:
        largest = weight.abs().amax(dim=tuple(range(1, weight.dim())))
        scale = (largest / LIMIT).clamp(min=WEIGHT_EPS)
        return scale, torch.zeros_like(scale, dtype=torch.int32)

    def calculate_qparams(self, **given: Any) -> tuple[Tensor, Tensor]:
        """Never asked for: the graph that is trained is not what is lowered."""
        raise NotImplementedError
