"""What several processes exchange, for a test to launch: `... -m tests.exporter.training.processes_run FOLDER [fail]`.

"fail" has one that is not the main process fail in the middle of a training.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from exporter.training import processes
from exporter.training.loop import Run, StepLoss, train
from exporter.training.recipe import Rows
from exporter.training.weights import state_digest
from tests.exporter.training import tiny_run


def exchange() -> None:
    """Shares make up the batch, and the mean of their weighted means is the batch's."""
    together = processes.current()
    whole = torch.arange(7.0) ** 2
    (mine,) = together.mine(whole)
    mean = mine.mean() * together.weight(7)
    image = torch.full((2, 3, 4, 4), float(together.rank)).contiguous(memory_format=torch.channels_last)
    together.average([mean, image])
    assert 0 < len(mine) < 7
    assert torch.isclose(mean, whole.mean())
    assert torch.equal(image, torch.full((2, 3, 4, 4), (together.count - 1) / 2))
    assert image.is_contiguous(memory_format=torch.channels_last)
    assert together.from_main(lambda: together.rank) == 0


def training(folder: Path, loss: StepLoss) -> None:
    """All have the very same model after it, whatever each began with, running averages included."""
    together, plan = processes.current(), tiny_run.plan()
    model = plan.skeleton(None)
    with torch.no_grad():
        model.get_parameter("out.weight").add_(together.rank)
    train(model, Run("tiny", "key", plan.recipe, tiny_run.EXAMPLES, loss), folder / str(together.rank))
    digest = state_digest(model)
    assert together.from_main(lambda: digest) == digest
    assert (folder / str(together.rank)).exists() == together.main


def main() -> None:
    """Check, and say so in the main process."""
    folder, failing = Path(sys.argv[1]), "fail" in sys.argv
    _, loss = tiny_run.plan().examples(None)
    steps = 0

    def until(model: nn.Module, rows: Rows, rng: np.random.Generator) -> Tensor:
        nonlocal steps
        steps += 1
        if failing and steps == 5 and not processes.current().main:
            raise MemoryError
        return loss(model, rows, rng)

    exchange()
    training(folder, until)
    if processes.current().main:
        sys.stdout.write(f"{processes.current().count} agree\n")
    processes.part()
    assert processes.current() == processes.Processes()


if __name__ == "__main__":
    main()
