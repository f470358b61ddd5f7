"""The processes that train together: those that Accelerate's launcher or torchrun started; where neither did, this one alone.

All run the same command and come to the same trainings in the same order. Each computes a share of every step's batch, the
gradients are averaged, and only the main process writes files and says anything. A process that fails ends, and its launcher
ends the others: no failure is agreed on, so none waits for one that went another way.

Accelerate tells who is who and carries what is exchanged. Its DDP wrapper is not used: losses call methods of the model
(`layer_outputs`), and quantisation-aware training runs a graph that is no submodule of it; averaging gradients serves both.
Alone, Accelerate is not imported, and not a bit is other than without this file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

T = TypeVar("T")

#: processes may wait as long as the main one needs alone (the teacher's answers, a validation set); failures end sooner
_PATIENCE = timedelta(days=1)
#: how many processes mpirun started, by its kinds
_MPI_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")


def launched() -> bool:
    """Whether a launcher that Accelerate knows started this process. Imports nothing."""
    return "LOCAL_RANK" in os.environ or "ACCELERATE_MIXED_PRECISION" in os.environ or _of_mpi() > 1


def _of_mpi() -> int:
    return max(int(os.environ.get(name, "1")) for name in _MPI_SIZES)


@dataclass(frozen=True)
class Processes:
    """How many processes there are, which of them this is, and the device it trains on ("cpu", "cuda:1")."""

    count: int = 1
    rank: int = 0
    device: str = "cpu"

    @property
    def main(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def share(self, rows: int) -> slice:
        """Which rows of a batch are this process's: in order, as equal as can be."""
        return slice(rows * self.rank // self.count, rows * (self.rank + 1) // self.count)

    def weight(self, rows: int) -> float:
        """What the mean over this process's share is multiplied by, so that the processes' mean is that over all rows."""
        return len(range(rows)[self.share(rows)]) * self.count / rows

    def mine(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """This process's rows of a batch, on its device. A batch is made whole and then shared, so that augmentation draws
        the same for every example, however many processes there are.
        """
        if self.count > 1:
            tensors = tuple(tensor[self.share(len(tensor))] for tensor in tensors)
        return tensors if self.device == "cpu" else tuple(tensor.to(self.device) for tensor in tensors)

    def placed(self, model: nn.Module) -> nn.Module:
        """The model itself, moved to this process's device."""
        return model if self.device == "cpu" else model.to(self.device)

    def autocast(self, on: bool) -> AbstractContextManager[None]:
        """The forward pass in bfloat16, where that is on."""
        import torch

        autocast: AbstractContextManager[None] = torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=on)
        return autocast

    def from_main(self, work: Callable[[], T]) -> T:
        """Have the main process alone do this; all get what it gives, which must pickle."""
        if self.count == 1:
            return work()
        from accelerate.utils import broadcast_object_list

        held: list[Any] = [work() if self.main else None]
        broadcast_object_list(held)
        found: T = held[0]
        return found

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Make each of these, floats of the same shapes in every process, the mean over the processes: one exchange."""
        import torch
        from accelerate.utils import reduce

        flat = reduce(torch.cat([tensor.detach().reshape(-1) for tensor in tensors]), "mean")
        for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.detach().copy_(mean.view(tensor.shape))

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.count > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()


_ALONE = Processes()
_current: Processes | None = None


def current() -> Processes:
    """The processes of now. The first call joins them, and waits for all to."""
    global _current
    if _current is None:
        _current = _join() if launched() else _ALONE
    return _current


def part() -> None:
    """Wait for all and leave them. From here on each is alone, on the CPU."""
    global _current
    together, _current = current(), _ALONE
    if together.count > 1:
        from accelerate import PartialState

        together.wait()
        PartialState().destroy_process_group()


def _join() -> Processes:
    import torch
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    # without this it would look for a GPU where there is none, and then take each process to be alone
    cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available()
    state = PartialState(cpu=cpu, timeout=_PATIENCE)
    if state.num_processes < _of_mpi():
        raise UserError("Accelerate does not join what mpirun starts on GPUs; start it with accelerate launch or torchrun")
    device = str(state.device) if state.device.type != "cpu" else "cpu"
    return Processes(state.num_processes, state.process_index, device)
