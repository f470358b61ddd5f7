"""The training loop: seeded, and resumable to the very bit after Ctrl-C or a crash.

Nothing random is carried from one step to the next: order, augmentation and dropout of a step are functions of
(seed, step). So a checkpoint is model, optimiser and step number, and a resumed run ends with the weights that an
uninterrupted one would have had, on the same machine with the same number of threads and of processes.

Several processes (see `processes`) make each step together: its batch is shared out, gradients and floating-point buffers
(a batch norm's running averages, the ranges of quantisation-aware training) are averaged after it. So all have the same model
at every step. What is not as with one process: a batch norm normalises over the share, and dropout draws per process.
"""

from __future__ import annotations

import io
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

from edgedeploy.errors import UserError
from exporter.subjects.base import Progress
from exporter.training import processes
from exporter.training.processes import Processes
from exporter.training.recipe import Recipe, Rows

#: (model, rows of the training set, this step's generator for augmentation) -> scalar loss, a mean over the rows; it passes
#: what it makes of them through `Processes.mine`
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


def _write(to: Path | io.BytesIO, key: str, step: int, model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    torch.save({"key": key, "step": step, "model": model.state_dict(), "optimiser": optimiser.state_dict()}, to)


def _read(source: Path | io.BytesIO, key: str, model: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    content = torch.load(source, map_location="cpu", weights_only=True)
    if content["key"] != key:
        return 0
    model.load_state_dict(content["model"])
    optimiser.load_state_dict(content["optimiser"])
    return int(content["step"])


def _save(path: Path, key: str, step: int, model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    _write(partial, key, step, model, optimiser)
    partial.replace(path)


def resumable(folder: Path) -> bool:
    """Whether a run was interrupted there and may be gone on with."""
    return (folder / CHECKPOINT).is_file()


def _resume(path: Path, key: str, model: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """The step to go on from: 0 where there is no checkpoint of this run, -1 where it is damaged."""
    if not path.is_file():
        return 0
    try:
        return _read(path, key, model, optimiser)
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, EOFError, pickle.UnpicklingError):
        # damaged: that costs the time it took, nothing else
        path.unlink(missing_ok=True)
        return -1


def _as_main(together: Processes, key: str, step: int, model: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """Go on from where the main process does: its step, and its weights to the bit."""
    if together.count == 1:
        return step

    def content() -> bytes:
        to = io.BytesIO()
        _write(to, key, step, model, optimiser)
        return to.getvalue()

    given = together.from_main(content)
    return step if together.main else _read(io.BytesIO(given), key, model, optimiser)


def train(
    model: nn.Module,
    run: Run,
    folder: Path,
    progress: Progress | None = None,
    checkpoint_interval_s: float = CHECKPOINT_INTERVAL_S,
) -> None:
    """Train `model` in place, parameters with requires_grad only, and leave it in eval mode, on the CPU.

    folder: where the checkpoint is written every `checkpoint_interval_s` seconds and, if one is there, resumed from, by
    the main process. The caller removes it once the result is safe. Raises ValueError where there are fewer examples than
    one batch, UserError where there are more processes than examples in a batch.
    """
    together = processes.current()
    recipe = run.recipe
    steps = recipe.steps(run.examples)
    if steps < 1:
        raise ValueError(f"{run.what}: {run.examples} training examples do not fill one batch of {recipe.batch}")
    if together.count > recipe.batch:
        raise UserError(f"{run.what}: {together.count} processes cannot share batches of {recipe.batch}; start fewer")
    together.placed(model)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=recipe.lr, weight_decay=recipe.weight_decay)
    checkpoint = folder / CHECKPOINT
    start = 0
    if together.main:
        folder.mkdir(parents=True, exist_ok=True)
        pristine = {name: tensor.clone() for name, tensor in model.state_dict().items()} if checkpoint.is_file() else {}
        start = _resume(checkpoint, run.key, model, optimiser)
        if start < 0:
            model.load_state_dict(pristine)
            optimiser = torch.optim.AdamW(trained, lr=recipe.lr, weight_decay=recipe.weight_decay)
            start = 0
    start = _as_main(together, run.key, start, model, optimiser)
    model.train()
    saved = time.monotonic()
    running = float("nan")
    for step in range(start, steps):
        lr = recipe.learning_rate(step, steps)
        for group in optimiser.param_groups:
            group["lr"] = lr
        # dropout draws from torch's global generator
        torch.manual_seed(recipe.seed * 1_000_003 + step + (together.rank << 40))
        rng = np.random.default_rng([recipe.seed, 1, step])
        with together.autocast(recipe.precision == "bfloat16"):
            loss = run.loss(model, recipe.rows(run.examples, step), rng)
        optimiser.zero_grad(set_to_none=True)
        if together.count > 1:
            loss = loss * together.weight(recipe.batch)
        loss.backward()  # type: ignore[no-untyped-call]
        if together.count > 1:
            gradients = [p.grad for p in trained if p.grad is not None]
            together.average([loss, *gradients, *(b for b in model.buffers() if b.is_floating_point())])
        if recipe.clip_norm:
            nn.utils.clip_grad_norm_(trained, recipe.clip_norm)
        optimiser.step()
        value = loss.item()
        running = value if math.isnan(running) else 0.95 * running + 0.05 * value
        now = time.monotonic()
        if together.main and now - saved >= checkpoint_interval_s and step + 1 < steps:
            _save(checkpoint, run.key, step + 1, model, optimiser)
            saved = now
        if progress is not None and together.main:
            progress(run.what, step + 1, steps, f"loss {running:.3f}")
    model.eval()
    if together.device != "cpu":
        model.to("cpu")
