"""ONNX Runtime: a float model becomes an ONNX file by torch's exporter, and runs through onnxruntime."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from edgedeploy.artifact import Coverage, Port, Precision
from edgedeploy.errors import UserError
from edgedeploy.signature import TensorSpec
from exporter.conversions import converted
from exporter.runtimes.base import NO_OWN, CalibrationMethod, HostModel, Int8End, Lowered, Work, own_int8
from exporter.runtimes.lowering import (
    Kept,
    array_of,
    converting,
    copied,
    first_line,
    replacing,
    require_outputs,
    require_precision,
    torch_example,
)
from exporter.traced import own_program

if TYPE_CHECKING:
    import onnxruntime
    import torch
    from torch import nn

#: the newest operator set that every piece of the toolchain, quantiser included, was found to handle
OPSET = 20


class OnnxBackend(Protocol):
    """What a piece of hardware adds to ONNX Runtime."""

    name: str
    #: as `Runtime.precisions`
    precisions: tuple[Precision, ...]

    def refuses(self, family: str, precision: str) -> str | None:
        """As `Runtime.refuses`."""
        ...

    def session(self, model: Path, threads: int, optimised: Path | None = None) -> onnxruntime.InferenceSession:
        """A session with this backend's execution provider; the graph as it is optimised is written where `optimised` says,
        with files beside it."""
        ...

    def schemes(self, work: Work) -> tuple[str, ...]:
        """As `Runtime.schemes`."""
        ...

    def calibrate(self, float_model: Path, work: Work, scheme: str) -> Any:
        """What `quantise` needs: the float model made ready for the scheme, and what was seen in it of the examples."""
        ...

    def quantise(
        self, calibrated: Any, work: Work, scheme: str, method: CalibrationMethod, destination: Path
    ) -> dict[str, Any]:
        """Write the int8 model, ranges by the method; returns what the manifest says of it."""
        ...

    def int8_ends(self, model: Path, work: Work) -> Mapping[str, Int8End]:
        """Make the ends of an int8 model its own integers where `work` asks for it and it has them; returns those."""
        ...

    def convert(self, float_model: Path, work: Work, precision: Precision, destination: Path) -> dict[str, Any]:
        """Write the model in one of `precisions`; returns what the manifest says of it."""
        ...

    def coverage(self, optimised: Path) -> Coverage:
        """What became of a model's heavy operators, from what `session` wrote of it."""
        ...


class OnnxRuntime:
    """The runtime `onnx`. Inputs and outputs have the signature's own names and dtypes: no adapters."""

    name = "onnx"
    suffix = ".onnx"
    packages: tuple[str, ...] = ("torch", "onnx", "onnxscript", "onnxruntime")

    def __init__(self, backend: OnnxBackend) -> None:
        self._backend = backend
        self.backend = backend.name
        self.precisions = backend.precisions
        self._calibrated: Kept[Any] = Kept()

    def refuses(self, family: str, precision: str) -> str | None:
        """As `Runtime.refuses`."""
        return self._backend.refuses(family, precision)

    def schemes(self, work: Work) -> tuple[str, ...]:
        """As `Runtime.schemes`."""
        return self._backend.schemes(work)

    def lower(self, work: Work, destination: Path) -> Lowered:
        """As `Runtime.lower`."""
        with replacing(destination) as partial:
            self._export(work, partial)
            return self._lowered(work, partial, destination, {})

    def lower_int8(self, work: Work, scheme: str, method: CalibrationMethod, destination: Path) -> Lowered:
        """As `Runtime.lower_int8`."""
        if scheme not in self.schemes(work):
            raise UserError(f"onnx has no int8 scheme {scheme!r} for this model; it has {', '.join(self.schemes(work))}")
        calibrated = self._calibrated.get(work, scheme, lambda: self._calibrate(work, scheme))
        with replacing(destination) as partial:
            description = self._backend.quantise(calibrated, work, scheme, method, partial)
            own = self._backend.int8_ends(partial, work)
            return self._lowered(work, partial, destination, description, own)

    def lower_to(self, work: Work, precision: Precision, destination: Path) -> Lowered:
        """As `Runtime.lower_to`."""
        require_precision(self, work, precision)
        with tempfile.TemporaryDirectory(prefix="edgedeploy-onnx-") as scratch, replacing(destination) as partial:
            float_model = Path(scratch) / "float.onnx"
            self._export(work, float_model)
            description = self._backend.convert(float_model, work, precision, partial)
            return self._lowered(work, partial, destination, description)

    def open(self, lowered_file: Path, threads: int = 1) -> HostModel:
        """As `Runtime.open`."""
        try:
            return _OnnxModel(self._backend.session(lowered_file, threads))
        except Exception as err:
            raise UserError(f"onnx cannot load {lowered_file.name}: {first_line(err)}") from err

    def _calibrate(self, work: Work, scheme: str) -> Any:
        with tempfile.TemporaryDirectory(prefix="edgedeploy-onnx-") as scratch:
            float_model = Path(scratch) / "float.onnx"
            self._export(work, float_model)
            return self._backend.calibrate(float_model, work, scheme)

    def _export(self, work: Work, destination: Path) -> None:
        if not copied(self.name, work, destination):
            converted(self, work, destination, lambda: self._convert(work, destination))

    def _convert(self, work: Work, destination: Path) -> None:
        with converting(self.name, "express this model"):
            import torch

            example = torch_example(work)
            program = torch.onnx.export(
                self._traced(work.model, example),
                example,
                dynamo=True,
                input_names=[spec.name for spec in work.signature.inputs],
                output_names=[spec.name for spec in work.signature.outputs],
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
            if program is None:
                raise RuntimeError("torch.onnx.export gave nothing")
            _set_apart(program.model.graph)
            program.save(str(destination), external_data=False)

    @staticmethod
    def _traced(model: nn.Module, example: tuple[torch.Tensor, ...]) -> nn.Module | torch.export.ExportedProgram:
        """The model as it is traced already; itself where it cannot be so, since torch.onnx has more ways to trace one."""
        try:
            return own_program(model, example)
        except Exception:  # whatever the model's code raises under tracing
            return model

    def _lowered(
        self, work: Work, written: Path, destination: Path, scheme: dict[str, Any], own: Mapping[str, Int8End] = NO_OWN
    ) -> Lowered:
        with tempfile.TemporaryDirectory(prefix="edgedeploy-onnx-") as scratch:
            optimised = Path(scratch) / "optimised.onnx"
            with converting(self.name, "load what was made of this model"):
                session = self._backend.session(written, 1, optimised)
            require_outputs(self.name, work, [given.shape for given in session.get_outputs()])
            coverage = self._backend.coverage(optimised)
        return Lowered(
            file=destination,
            inputs=_ports(work.given.own_inputs if work.given else None, work.signature.inputs, own),
            outputs=_ports(work.given.own_outputs if work.given else None, work.signature.outputs, own),
            coverage=coverage,
            scheme=scheme,
        )


def _ports(called: Sequence[str] | None, specs: Sequence[TensorSpec], own: Mapping[str, Int8End]) -> tuple[Port, ...]:
    """called: what the file calls these ends, where not by the signature's names."""
    names = called or [spec.name for spec in specs]
    return tuple(
        own_int8(Port(name=name, source=spec.name, tensor=spec.model_copy(update={"name": name})), own)
        for name, spec in zip(names, specs, strict=True)
    )


class _OnnxModel:
    """An InferenceSession; what it returns is its caller's own."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._inputs = [given.name for given in session.get_inputs()]
        self._outputs = [given.name for given in session.get_outputs()]

    def __call__(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        given = self._session.run(self._outputs, {name: array_of(feeds, name) for name in self._inputs})
        return {name: np.asarray(array) for name, array in zip(self._outputs, given, strict=True)}


def _set_apart(graph: Any) -> None:
    """Give another name to what is inside the graph and is called as an end of it: torch.onnx names the ends as it is told,
    whatever has that name already, and two of one name are no model."""
    ends = {*graph.inputs, *graph.outputs}
    names = {end.name for end in ends}
    weights = list(graph.initializers.values())
    for value in (*weights, *(value for node in graph for value in node.outputs)):
        if value not in ends and value.name in names:
            value.name = f"{value.name}/inside"
