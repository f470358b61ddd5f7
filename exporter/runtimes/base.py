"""What a runtime is to the exporter: lower a float model to a file, and run that file on this host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from edgedeploy import adapters
from edgedeploy.artifact import Coverage, Dequantize, Port, Precision, Quantisation, Quantize
from edgedeploy.signature import Signature
from exporter.given.file import GivenFile
from exporter.subjects.base import Progress, Split
from exporter.trained_ranges import TrainedRange

if TYPE_CHECKING:
    from torch import nn

#: "trained": the ranges that a work brings, and min-max for tensors without one
CalibrationMethod = Literal["minmax", "percentile", "entropy", "trained"]
#: those that any work can be calibrated by
CALIBRATION_METHODS: tuple[CalibrationMethod, ...] = ("minmax", "percentile", "entropy")


@dataclass(frozen=True)
class Int8End:
    """How a tensor at an end of a model is held in 8 bits: real = scale * (stored - zero_point). The scale is a float32's."""

    dtype: Literal["int8", "uint8"]
    scale: float
    zero_point: int

    @property
    def range(self) -> tuple[float, float]:
        """The real values of the lowest and of the highest step."""
        limits = np.iinfo(self.dtype)
        return (int(limits.min) - self.zero_point) * self.scale, (int(limits.max) - self.zero_point) * self.scale

    def quantise(self) -> Quantize:
        """As an adapter from float32."""
        return Quantize(to=self.dtype, scale=self.scale, zero_point=self.zero_point)

    def dequantise(self) -> Dequantize:
        """As an adapter to float32."""
        return Dequantize(scale=self.scale, zero_point=self.zero_point)


#: of a model whose ends are all as its signature has them
NO_OWN: Mapping[str, Int8End] = MappingProxyType({})


@dataclass(frozen=True)
class Work:
    """What is to be lowered: a float model in eval mode with its signature, for a target.

    family: which heavy operators the model has; it decides what is quantised.
    calibration: real examples apart from every other set; only looked at for int8.
    trained: ranges of activations that were trained with the model; their marks are of the first calibration example.
    leaving, arriving: outputs and inputs, by the signature's names, that static int8 gives and takes as its own integers where
        it has them there: of any scale, and of the one that they arrive in. Its ports say where it does.
    """

    model: nn.Module
    signature: Signature
    family: Literal["convolutional", "transformer"]
    target: str
    calibration: Split | None = None
    progress: Progress | None = None
    trained: tuple[TrainedRange, ...] = ()
    leaving: frozenset[str] = frozenset()
    arriving: Mapping[str, Int8End] = field(default_factory=dict)

    @property
    def given(self) -> GivenFile | None:
        """The file that the model is, where it is one that was given: lowered in float, it is that file."""
        found = getattr(self.model, "given_file", None)
        return found if isinstance(found, GivenFile) else None

    def example(self) -> dict[str, npt.NDArray[Any]]:
        """One example of the signature's inputs (batch 1), in the signature's order: real where a calibration set is there."""
        if self.calibration is not None and len(self.calibration):
            batch = self.calibration.batch(0, 1)
            return {spec.name: batch[spec.name] for spec in self.signature.inputs}
        rng = np.random.default_rng(0)
        return {
            spec.name: rng.standard_normal(spec.shape).astype(spec.dtype)
            if spec.dtype.startswith("float")
            else np.ones(spec.shape, spec.dtype)
            for spec in self.signature.inputs
        }


@dataclass(frozen=True)
class Lowered:
    """A model file of a runtime, with what is needed to feed it and what became of the graph.

    scheme: how it was quantised, for the manifest ({} for fp32): scheme, calibration method, weights, activations,
        what was left in float and why. Of the precisions of `lower_to` also: stored (how many elements of the file's
        constants are of which type, read back from it) and slow_because (why it may be slower than float).
    """

    file: Path
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    coverage: Coverage
    scheme: dict[str, Any] = field(default_factory=dict)


def own_int8(port: Port, own: Mapping[str, Int8End]) -> Port:
    """The port, of integers where `own`, by the signature's names, says that the file's end is its own int8."""
    end = own.get(port.source)
    if end is None:
        return port
    tensor = port.tensor.model_copy(update={"dtype": end.dtype})
    quantisation = Quantisation(scale=end.scale, zero_point=end.zero_point)
    return port.model_copy(update={"tensor": tensor, "quantisation": quantisation, "adapters": ()})


class HostModel(Protocol):
    """A loaded model file on this host: takes and gives the file's own tensors, by the ports' names."""

    def __call__(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]: ...


class Runtime(Protocol):
    """One runtime with one backend.

    name, backend: as in the manifest. suffix: of a model file (".onnx"). extra: what pip installs it with.
    """

    name: str
    backend: str
    suffix: str
    #: distributions whose versions belong in the manifest's toolchain
    packages: tuple[str, ...]
    #: what it can lower some model to besides fp32 and int8-static
    precisions: tuple[Precision, ...]

    def refuses(self, family: str, precision: str) -> str | None:
        """Why a model of this family (as in `Work`) cannot be had in this precision, naming what lacks; None where it can.

        Cheap: imports nothing heavy, so that it can be asked before any work.
        """
        ...

    def schemes(self, work: Work) -> tuple[str, ...]:
        """The static int8 schemes worth trying for this work, the likeliest first (at least one)."""
        ...

    def lower(self, work: Work, destination: Path) -> Lowered:
        """Lower in float to `destination`. Raises UserError for a model the runtime cannot express."""
        ...

    def lower_int8(self, work: Work, scheme: str, method: CalibrationMethod, destination: Path) -> Lowered:
        """Lower as static int8 (per-channel weights), ranges calibrated on `work.calibration` by `method`."""
        ...

    def lower_to(self, work: Work, precision: Precision, destination: Path) -> Lowered:
        """Lower to one of `precisions`: nothing is calibrated, and the ends stay float32 or integers as in `lower`.

        Raises UserError where `refuses` has a reason, and for a model the runtime cannot express.
        """
        ...

    def open(self, lowered_file: Path, threads: int = 1) -> HostModel:
        """Load a model file through the runtime's own Python API."""
        ...


class PortedModel:
    """A HostModel behind its ports: takes and gives the signature's tensors, adapters applied."""

    def __init__(self, model: HostModel, inputs: tuple[Port, ...], outputs: tuple[Port, ...]) -> None:
        self._model, self._inputs, self._outputs = model, inputs, outputs

    def feeds(self, batch: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """The model's own inputs for one example of the signature's inputs."""
        return {port.name: adapters.apply(batch[port.source], port.adapters) for port in self._inputs}

    def run_fed(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        """The signature's outputs for the model's own inputs."""
        given = self._model(feeds)
        return {port.source: adapters.apply(given[port.name], port.adapters) for port in self._outputs}

    def __call__(self, batch: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        return self.run_fed(self.feeds(batch))
