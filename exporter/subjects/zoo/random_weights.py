"""Random weights that compute what a trained model would in kind: nothing vanishes, nothing explodes, no block is a no-op.

Fresh initialisations are made for the start of training: batch norms have seen nothing, and the last norm of a residual
branch is 0, so that whole blocks add nothing. A converter may fold such blocks away, int8 has no range to choose, and
values that shrink from layer to layer become denormal, which is slow. Latency measured so would be another model's.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

#: every random model is drawn from it
SEED = 0
#: examples that the batch norms' statistics are taken from
SEEN = 4


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    """What `make` builds with torch's generator at SEED; the generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return make()


def settle(model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Open the norms that start at 0 and let the batch norms see `inputs` [b, ...]; leaves the model in eval mode."""
    model.eval()
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    for module in model.modules():
        weight = getattr(module, "weight", None)
        normalises = module in norms or isinstance(module, nn.LayerNorm | nn.GroupNorm)
        if normalises and isinstance(weight, Tensor) and not weight.any():
            nn.init.ones_(weight)
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        # None: the statistics of all that is seen, without what they were initialised with
        norm.momentum = None
        norm.reset_running_stats()
        norm.train()
    with torch.no_grad():
        model(*inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        # a channel that was constant over so few examples would be divided by next to nothing
        if norm.running_var is not None:
            norm.running_var.clamp_(min=1e-3)
    model.eval()
