"""A model file as given, in the place of a torch model: what runs is the file, on its own runtime."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from edgedeploy.errors import UserError
from exporter.given.file import GivenFile
from exporter.runtimes.base import HostModel
from exporter.runtimes.lowering import first_line


class GivenModel(nn.Module):
    """Takes and gives torch tensors, any batch, one example after the other."""

    def __init__(self, file: GivenFile) -> None:
        super().__init__()
        self.given_file = file

    @cached_property
    def _loaded(self) -> HostModel:
        from exporter import runtimes

        return runtimes.get(self.given_file.runtime).open(self.given_file.path)

    def train(self, mode: bool = True) -> GivenModel:
        """Nothing to switch: a file computes one thing."""
        return self

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        arrays = [np.ascontiguousarray(tensor.numpy()) for tensor in inputs]
        each = []
        for i in range(len(arrays[0])):
            feeds = {name: array[i : i + 1] for name, array in zip(self.given_file.own_inputs, arrays, strict=True)}
            try:
                found = self._loaded(feeds)
            except Exception as error:  # whatever its runtime raises
                raise UserError(
                    f"the given {self.given_file.form} file does not run on one of the examples: {first_line(error)}"
                ) from error
            each.append([torch.from_numpy(np.array(found[name])) for name in self.given_file.own_outputs])
        return tuple(torch.cat(parts) for parts in zip(*each, strict=True))
