"""The training loop: seeded, and resumable to the very bit after Ctrl-C or a crash.

Nothing random is carried from one step to the next: order, augmentation and dropout of a step are functions of
(seed, step). So a checkpoint is model, optimiser and step number, and a resumed run ends with the weights that an
uninterrupted one would have had, on the same machine with the same number of threads.
"""

from __future__ import annotations

import math
import os
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from exporter.subjects.base import Progress
from exporter.training.recipe import Recipe, Rows

#: (model, rows of the training set, this step's generator for augmentation) -> scalar loss
StepLoss = Callable[[nn.Module, Rows, np.random.Generator], Tensor]

CHECKPOINT = "checkpoint.pt"
CHECKPOINT_INTERVAL_S = 20.0


@dataclass(frozen=True)
class Run:
    """One training run. `key` names it (see `run_key`); a checkpoint of another key is not resumed from."""

    what: str
    key: str
    recipe: Recipe
    examples: int
    loss: StepLoss


def _save(path: Path, key: str, step: int, model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    content = {"key": key, "step": step, "model": model.state_dict(), "optimiser": optimiser.state_dict()}
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    torch.save(content, partial)
    partial.replace(path)


def _resume(path: Path, key: str, model: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """The step to go on from: 0 where there is no checkpoint of this run, -1 where it is damaged."""
    if not path.is_file():
        return 0
    try:
        content = torch.load(path, weights_only=True)
        if content["key"] != key:
            return 0
        model.load_state_dict(content["model"])
        optimiser.load_state_dict(content["optimiser"])
        return int(content["step"])
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, EOFError, pickle.UnpicklingError):
        # damaged: that costs the time it took, nothing else
        path.unlink(missing_ok=True)
        return -1


def train(
    model: nn.Module,
    run: Run,
    folder: Path,
    progress: Progress | None = None,
    checkpoint_interval_s: float = CHECKPOINT_INTERVAL_S,
) -> None:
    """Train `model` in place, parameters with requires_grad only, and leave it in eval mode.

    folder: where the checkpoint is written every `checkpoint_interval_s` seconds and, if one is there, resumed from.
    The caller removes it once the result is safe. Raises ValueError where there are fewer examples than one batch.
    """
    recipe = run.recipe
    steps = recipe.steps(run.examples)
    if steps < 1:
        raise ValueError(f"{run.what}: {run.examples} training examples do not fill one batch of {recipe.batch}")
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=recipe.lr, weight_decay=recipe.weight_decay)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / CHECKPOINT
    pristine = {name: tensor.clone() for name, tensor in model.state_dict().items()} if checkpoint.is_file() else {}
    start = _resume(checkpoint, run.key, model, optimiser)
    if start < 0:
        model.load_state_dict(pristine)
        optimiser = torch.optim.AdamW(trained, lr=recipe.lr, weight_decay=recipe.weight_decay)
        start = 0
    model.train()
    saved = time.monotonic()
    running = float("nan")
    for step in range(start, steps):
        lr = recipe.learning_rate(step, steps)
        for group in optimiser.param_groups:
            group["lr"] = lr
        # dropout draws from torch's global generator
        torch.manual_seed(recipe.seed * 1_000_003 + step)
        rng = np.random.default_rng([recipe.seed, 1, step])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            loss = run.loss(model, recipe.rows(run.examples, step), rng)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if recipe.clip_norm:
            nn.utils.clip_grad_norm_(trained, recipe.clip_norm)
        optimiser.step()
        value = loss.item()
        running = value if math.isnan(running) else 0.95 * running + 0.05 * value
        now = time.monotonic()
        if now - saved >= checkpoint_interval_s and step + 1 < steps:
            _save(checkpoint, run.key, step + 1, model, optimiser)
            saved = now
        if progress is not None:
            progress(run.what, step + 1, steps, f"loss {running:.3f}")
    model.eval()
