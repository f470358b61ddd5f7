"""An artifact made ready to be launched: what is pushed, what the runner is told, what it must give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    """An input from outside: the tensor as it is stored, its cases, and how it becomes what the model takes.

    `tensor.name` is the runtime's own name of the input, `source` the signature's; `data` is [cases, elements] in
    `tensor.dtype`. `own` is what the model itself takes, after the adapters; None: the same.
    """

    tensor: TensorSpec
    data: npt.NDArray[Any]
    adapters: tuple[Adapter, ...] = ()
    source: str = ""
    own: TensorSpec | None = None


@dataclass(frozen=True)
class Wire:
    """An input that an earlier stage gives: which stage, which of its outputs; the tensor is as it travels."""

    tensor: TensorSpec
    stage: int
    output: int
    adapters: tuple[Adapter, ...] = ()


@dataclass(frozen=True)
class Product:
    """An output after its adapters, kept or only for a later stage. `expected` is [cases, elements] of it on the host.

    `tensor.name` is the runtime's own name of it, `source` the bundle's; `own` is what the model itself gives, before the
    adapters; None: the same.
    """

    tensor: TensorSpec
    adapters: tuple[Adapter, ...] = ()
    expected: npt.NDArray[np.generic] | None = None
    kept: bool = True
    source: str = ""
    own: TensorSpec | None = None


@dataclass(frozen=True)
class Part:
    """One stage. `name` is what its file is called beside the plan: some runtimes go by the suffix."""

    model: Path
    sha256: str
    name: str
    inputs: tuple[Feed | Wire, ...]
    outputs: tuple[Product, ...]


@dataclass(frozen=True)
class Workload:
    """One artifact: its stages in order, all in one process."""

    artifact: ArtifactRef
    parts: tuple[Part, ...]
    conformance: Conformance | None = None
    #: files that must stand beside a model's under their own names
    companions: tuple[Path, ...] = ()
    #: makes the runner slower by so much; it refuses but in a test of what is to find that
    spin_percent: float = 0.0

    @property
    def feeds(self) -> tuple[Feed, ...]:
        """What is fed from outside, in the order of its files."""
        return tuple(end for part in self.parts for end in part.inputs if isinstance(end, Feed))

    @property
    def products(self) -> tuple[Product, ...]:
        """What is kept, in the order of its files."""
        return tuple(product for part in self.parts for product in part.outputs if product.kept)

    @property
    def models(self) -> list[tuple[str, Path]]:
        """The runtime and the file of each stage."""
        return [(self.artifact.runtime, part.model) for part in self.parts]

    @property
    def cases(self) -> int:
        """How many cases each input has; the first is the one that is timed."""
        return len(self.feeds[0].data)

    @property
    def checked(self) -> bool:
        """Whether what the device gives can be compared with what the host got."""
        return self.conformance is not None and any(product.expected is not None for product in self.products)

    def fed(self, data: Mapping[str, npt.NDArray[Any]]) -> Workload:
        """The same artifact over other cases, by the signature's name of the input; nothing is expected of them."""
        parts = [
            replace(
                part,
                inputs=tuple(replace(end, data=data[end.source]) if isinstance(end, Feed) else end for end in part.inputs),
                outputs=tuple(replace(product, expected=None) for product in part.outputs),
            )
            for part in self.parts
        ]
        return replace(self, parts=tuple(parts))
