"""What every tensor of a .tflite holds when an example has run through it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.backends import tflite_coverage
from exporter.backends.tflite_ends import ends
from exporter.runtimes.quiet import quiet


class Observed:
    """A model without XNNPACK, which does not compute the tensors inside what it took."""

    def __init__(self, model: Path) -> None:
        with quiet():
            from ai_edge_litert.interpreter import Interpreter, OpResolverType

            self._interpreter = Interpreter(
                model_path=str(model),
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                experimental_preserve_all_tensors=True,
            )
            self._interpreter.allocate_tensors()
            self._inputs = ends(self._interpreter)[0]
        self.nodes, self.tensors = tflite_coverage.read(model)

    @property
    def inputs(self) -> tuple[str, ...]:
        """What its inputs' tensors are called, in the model's order."""
        return tuple(details["name"] for details in self._inputs.values())

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> None:
        """Run one example, by the names of the inputs."""
        for name, values in feeds.items():
            self._interpreter.set_tensor(self._inputs[name]["index"], values)
        self._interpreter.invoke()

    def values(self, index: int) -> npt.NDArray[Any]:
        """A tensor of the main subgraph, as the last example left it."""
        found: npt.NDArray[Any] = self._interpreter.get_tensor(index)
        return found

    def real(self, index: int) -> npt.NDArray[np.float64]:
        """The same as real numbers, whatever it is held in."""
        scale, zero_point = self._quantisation.get(index, (1.0, 0))
        return (self.values(index).astype(np.float64) - zero_point) * scale

    @cached_property
    def _quantisation(self) -> dict[int, tuple[float, int]]:
        """Index -> scale and zero point, of what is held in integers of one scale."""
        found = ((each["index"], each["quantization"]) for each in self._interpreter.get_tensor_details())
        return {index: (scale, zero_point) for index, (scale, zero_point) in found if scale}
