"""How long a training will take, said before it begins."""

from __future__ import annotations

import copy
import time

import numpy as np
from torch import nn

from exporter.subjects.base import Progress
from exporter.training import processes
from exporter.training.loop import Run

#: steps timed, after one that allocates
_TIMED = 2


def say_how_long(model: nn.Module, run: Run, progress: Progress) -> None:
    """Say it from a few steps of a copy that is thrown away; of several processes each makes its share of them."""
    together = processes.current()
    copied = together.placed(copy.deepcopy(model)).train()
    steps = run.recipe.steps(run.examples)
    started = 0.0
    for step in range(_TIMED + 1):
        if step == 1:
            started = time.monotonic()
        with together.autocast(run.recipe.precision == "bfloat16"):
            loss = run.loss(copied, run.recipe.rows(run.examples, step), np.random.default_rng(step))
        loss.backward()  # type: ignore[no-untyped-call]
    minutes = round((time.monotonic() - started) / _TIMED * steps / 60)
    long = f"about {minutes} minutes" if minutes > 1 else "about a minute" if minutes else "under a minute"
    told = f"{run.what}: training on {run.examples:,} examples, {steps:,} steps, {long} on this machine"
    say = getattr(progress, "say", None)
    if say is not None:
        say(told)
    else:
        progress(told, 0, steps)
