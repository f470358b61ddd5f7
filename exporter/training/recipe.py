"""What a training run is made of: its numbers, and the digest that says it is the same run."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training run: AdamW under a one-cycle learning rate.

    lr: the highest rate. warmup: the share of the steps in which it rises. precision: of the forward pass;
    parameters and optimiser are float32 either way. extra: what only some runs have (T and alpha, layers, ...).
    """

    epochs: int
    batch: int
    lr: float
    weight_decay: float = 0.01
    warmup: float = 0.3
    clip_norm: float = 1.0
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    extra: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, for a manifest, a weight file's metadata and the cache key."""
        return {**asdict(self), "extra": dict(self.extra)}

    def steps(self, examples: int) -> int:
        """Optimiser steps of the whole run. An epoch's last, incomplete batch is dropped."""
        return self.epochs * (examples // self.batch)

    def rows(self, examples: int, step: int) -> Rows:
        """The examples of this step, int64 [batch]. A function of seed and step alone, so a resumed run agrees."""
        per_epoch = examples // self.batch
        epoch, place = divmod(step, per_epoch)
        order = np.random.default_rng([self.seed, 0, epoch]).permutation(examples)
        return order[place * self.batch : (place + 1) * self.batch].astype(np.int64)

    def learning_rate(self, step: int, steps: int) -> float:
        """One-cycle (Smith & Topin 2019): cosine up from lr/25, cosine down to lr/10,000."""
        rise = max(1, int(self.warmup * steps))
        if step < rise:
            low, high, place = self.lr / 25, self.lr, step / rise
        else:
            low, high, place = self.lr, self.lr / 1e4, (step - rise) / max(1, steps - 1 - rise)
        return high + (low - high) * (1 + math.cos(math.pi * min(place, 1.0))) / 2


def run_key(what: str, recipe: Recipe, inputs: Mapping[str, str]) -> str:
    """sha256 (hex) of everything a run depends on: recipe, and the digests of its data and starting weights."""
    content = {"what": what, "recipe": recipe.as_dict(), "inputs": dict(inputs)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
