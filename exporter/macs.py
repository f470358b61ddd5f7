"""Multiply-accumulates of a float model: what `fewer MACs` is judged by."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn


def count(model: nn.Module, example: tuple[torch.Tensor, ...]) -> int:
    """MACs of one forward pass: convolutions, linears and matrix products (torch's flop counter, halved)."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(*example)
    return int(counter.get_total_flops()) // 2
