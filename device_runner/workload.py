"""An artifact made ready to be launched: what is pushed, what the runner is told, what it must give."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgedeploy.artifact import Adapter, Conformance
    from edgedeploy.record import ArtifactRef
    from edgedeploy.signature import TensorSpec


@dataclass(frozen=True)
class Feed:
    """An input: the tensor as it is stored, its cases, and how it becomes what the model takes.

    `tensor.name` is the runtime's own name of the input; `data` is [cases, elements] in `tensor.dtype`.
    """

    tensor: TensorSpec
    data: npt.NDArray[Any]
    adapters: tuple[Adapter, ...] = ()


@dataclass(frozen=True)
class Product:
    """An output as it is written, after its adapters. `expected` is [cases, elements] of this artifact on the host."""

    tensor: TensorSpec
    adapters: tuple[Adapter, ...] = ()
    expected: npt.NDArray[np.generic] | None = None


@dataclass(frozen=True)
class Workload:
    """One artifact. `model_name` is what its file is called beside the plan: some runtimes go by the suffix."""

    artifact: ArtifactRef
    model: Path
    model_sha256: str
    model_name: str
    feeds: tuple[Feed, ...]
    products: tuple[Product, ...]
    conformance: Conformance | None = None
    #: files that must stand beside the model's under their own names
    companions: tuple[Path, ...] = ()

    @property
    def cases(self) -> int:
        """How many cases each input has; the first is the one that is timed."""
        return len(self.feeds[0].data)

    @property
    def checked(self) -> bool:
        """Whether what the device gives can be compared with what the host got."""
        return self.conformance is not None and any(product.expected is not None for product in self.products)
