"""What passes from one step of an export to the next: the lowered stages, and identity to compare with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgedeploy.artifact import Coverage
from edgedeploy.bundle import Bundle
from exporter import lower
from exporter.lower import Chain
from exporter.partition.division import Division
from exporter.partition.graph import Piece
from exporter.runtimes.base import Lowered, PortedModel, Runtime


@dataclass(frozen=True)
class Reference:
    """Identity on the same runtime: its bundle, and which evaluation examples it gets right, bool [n] (None: not measured)."""

    bundle: Bundle
    right: npt.NDArray[np.bool_] | None

    def chain(self, runtime: Runtime) -> Chain:
        """Its model, loaded on this host."""
        manifest = self.bundle.manifest
        models = [
            PortedModel(runtime.open(self.bundle.file(stage.file)), stage.inputs, stage.outputs) for stage in manifest.stages
        ]
        return Chain(models, [spec.name for spec in manifest.signature.outputs])


@dataclass(frozen=True)
class Made:
    """Stages as lowered, their float twins (themselves for fp32), the whole model in float where they are several."""

    stages: tuple[Lowered, ...]
    twins: tuple[Lowered, ...]
    whole: tuple[Lowered, ...] | None
    pieces: tuple[Piece, ...]
    division: Division | None
    parameters: dict[str, Any]

    @property
    def coverage(self) -> Coverage:
        """Of all stages together."""
        return lower.combined([each.coverage for each in self.stages])

    @property
    def nbytes(self) -> int:
        """Bytes of the stages' model files."""
        return sum(each.file.stat().st_size for each in self.stages)

    @property
    def float_nbytes(self) -> int:
        """Bytes of the float twins' model files."""
        return sum(each.file.stat().st_size for each in self.twins)
