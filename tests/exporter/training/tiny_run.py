"""A training run small enough to interrupt in a test: `python -m tests.exporter.training.tiny_run SECONDS_PER_STEP [NET]`.

Prints a line for each step and the digest of the weights at the end. Under a launcher all processes make the run, and the
main one prints.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from exporter.subjects.base import Progress
from exporter.training import processes
from exporter.training.loop import StepLoss
from exporter.training.obtain import Plan, Shipped, obtain
from exporter.training.recipe import Recipe, Rows

EXAMPLES = 40
RECIPE = Recipe(epochs=10, batch=8, lr=0.05, seed=3)


class Net(nn.Module):
    """x float32 [b, 6] -> logits [b, 3]; dropout, a norm with running averages, and a frozen layer."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(6, 8)
        self.frozen.requires_grad_(False)
        self.norm = nn.BatchNorm1d(8)
        self.dropout = nn.Dropout(0.3)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.dropout(self.norm(self.frozen(x))))
        return out


class Alike(nn.Module):
    """The same without what sees or draws something else in each process: no dropout, a norm over each example alone."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(6, 8)
        self.frozen.requires_grad_(False)
        self.norm = nn.LayerNorm(8)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.norm(self.frozen(x)))
        return out


NETS: dict[str, Callable[[], nn.Module]] = {"net": Net, "alike": Alike}


def data() -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, EXAMPLES)
    x = rng.normal(size=(EXAMPLES, 6)) + labels[:, None]
    return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(labels)


def skeleton(progress: Progress | None, net: Callable[[], nn.Module] = Net) -> nn.Module:
    torch.manual_seed(11)
    return net()


def plan(
    seconds_per_step: float = 0.0,
    recipe: Recipe = RECIPE,
    shipped: Shipped | None = None,
    net: Callable[[], nn.Module] = Net,
) -> Plan:
    x, labels = data()

    def loss(model: nn.Module, rows: Rows, rng: np.random.Generator) -> Tensor:
        time.sleep(seconds_per_step)
        noisy = x[rows] + torch.from_numpy(rng.normal(0, 0.1, (len(rows), 6)).astype(np.float32))
        given, right = processes.current().mine(noisy, labels[rows])
        return functional.cross_entropy(model(given), right)

    def examples(progress: Progress | None) -> tuple[int, StepLoss]:
        return EXAMPLES, loss

    def validate(model: nn.Module) -> float:
        with torch.no_grad():
            return float((model(x).argmax(1) == labels).float().mean())

    def start(model: nn.Module, progress: Progress | None) -> None:
        torch.manual_seed(recipe.seed)
        nn.init.normal_(model.get_submodule("out").get_parameter("weight"), 0, 0.1)

    return Plan(
        what="tiny teacher",
        recipe=recipe,
        skeleton=lambda progress: skeleton(progress, net),
        start=start,
        examples=examples,
        inputs=lambda: {"train": "0" * 64},
        validate=validate,
        shipped=shipped,
    )


def main() -> None:
    """Train with a checkpoint at every step."""

    def progress(what: str, done: int, total: int, note: str = "") -> None:
        sys.stdout.write(f"{done}/{total}\n")
        sys.stdout.flush()

    net = NETS[sys.argv[2] if len(sys.argv) > 2 else "net"]
    made = obtain(plan(float(sys.argv[1]), net=net), progress=progress, checkpoint_interval_s=0)
    if processes.current().main:
        sys.stdout.write(f"{made.origin} {made.digest}\n")
    processes.part()


if __name__ == "__main__":
    main()
