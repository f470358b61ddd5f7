"""LiteRT (TensorFlow Lite): a float model becomes a .tflite by litert-torch, and runs through ai_edge_litert."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from edgedeploy.artifact import Adapter, Cast, Coverage, Port, Precision
from edgedeploy.errors import UserError
from edgedeploy.signature import DType, TensorSpec
from exporter.backends.tflite_ends import ends
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

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter


class TfliteBackend(Protocol):
    """What a delegate adds to LiteRT."""

    name: str
    #: as `Runtime.precisions`
    precisions: tuple[Precision, ...]

    def refuses(self, family: str, precision: str) -> str | None:
        """As `Runtime.refuses`."""
        ...

    def interpreter(self, model: Path, threads: int) -> Interpreter:
        """An interpreter with this backend's delegate, tensors allocated."""
        ...

    def schemes(self, work: Work) -> tuple[str, ...]:
        """As `Runtime.schemes`."""
        ...

    def calibrate(self, float_model: Path, inputs: Sequence[Port], work: Work, scheme: str) -> Any:
        """What `quantise` needs: the float model, and what was seen in it of the examples, fed through `inputs`."""
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

    def coverage(self, model: Path) -> Coverage:
        """What became of the model's heavy operators."""
        ...


class TfliteRuntime:
    """The runtime `tflite`. Ports have the names of the model's signature (args_0, output_0); int64 becomes int32."""

    name = "tflite"
    suffix = ".tflite"
    packages: tuple[str, ...] = ("torch", "litert-torch", "litert-converter", "ai-edge-litert", "ai-edge-quantizer")

    def __init__(self, backend: TfliteBackend) -> None:
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
            self._convert(work, partial)
            return self._lowered(work, partial, destination, {})

    def lower_int8(self, work: Work, scheme: str, method: CalibrationMethod, destination: Path) -> Lowered:
        """As `Runtime.lower_int8`."""
        if scheme not in self.schemes(work):
            raise UserError(f"tflite has no int8 scheme {scheme!r} for this model; it has {', '.join(self.schemes(work))}")
        calibrated = self._calibrated.get(work, scheme, lambda: self._calibrate(work, scheme))
        with replacing(destination) as partial:
            description = self._backend.quantise(calibrated, work, scheme, method, partial)
            own = self._backend.int8_ends(partial, work)
            return self._lowered(work, partial, destination, description, own)

    def lower_to(self, work: Work, precision: Precision, destination: Path) -> Lowered:
        """As `Runtime.lower_to`."""
        require_precision(self, work, precision)
        with tempfile.TemporaryDirectory(prefix="edgedeploy-tflite-") as scratch, replacing(destination) as partial:
            float_model = Path(scratch) / "float.tflite"
            self._convert(work, float_model)
            description = self._backend.convert(float_model, work, precision, partial)
            return self._lowered(work, partial, destination, description)

    def open(self, lowered_file: Path, threads: int = 1) -> HostModel:
        """As `Runtime.open`."""
        try:
            return _TfliteModel(self._backend.interpreter(lowered_file, threads))
        except Exception as err:
            raise UserError(f"tflite cannot load {lowered_file.name}: {first_line(err)}") from err

    def _calibrate(self, work: Work, scheme: str) -> Any:
        with tempfile.TemporaryDirectory(prefix="edgedeploy-tflite-") as scratch:
            float_model = Path(scratch) / "float.tflite"
            self._convert(work, float_model)
            inputs, _ = self._ports(work, float_model)
            return self._backend.calibrate(float_model, inputs, work, scheme)

    def _convert(self, work: Work, destination: Path) -> None:
        if not copied(self.name, work, destination):
            converted(self, work, destination, lambda: self._convert_anew(work, destination))

    def _convert_anew(self, work: Work, destination: Path) -> None:
        with converting(self.name, "express this model"):
            import litert_torch

            # images stay NCHW, as every runtime here takes them. With `to_channel_last_io` and a transpose adapter the
            # timed call is 4 % shorter (EfficientNet-Lite0 at 64 pixels, fp32 and int8), but only because the
            # transposition, and the padding that fuses then, happen outside of it: a comparison would not be fair
            litert_torch.convert(work.model, torch_example(work)).export(str(destination))

    def _ports(self, work: Work, model: Path) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
        inputs, outputs = ends(self._backend.interpreter(model, 1))
        if len(inputs) != len(work.signature.inputs):
            raise UserError(
                f"tflite: the model takes {len(inputs)} inputs, its signature says {len(work.signature.inputs)}; "
                "an input that it does not use is dropped, take it out of the signature"
            )
        require_outputs(self.name, work, [details["shape"] for details in outputs.values()])
        return (
            tuple(_input(_spec(*end), spec) for end, spec in zip(inputs.items(), work.signature.inputs, strict=True)),
            tuple(_output(_spec(*end), spec) for end, spec in zip(outputs.items(), work.signature.outputs, strict=True)),
        )

    def _lowered(
        self, work: Work, written: Path, destination: Path, scheme: dict[str, Any], own: Mapping[str, Int8End] = NO_OWN
    ) -> Lowered:
        inputs, outputs = (tuple(own_int8(port, own) for port in ports) for ports in self._ports(work, written))
        return Lowered(destination, inputs, outputs, self._backend.coverage(written), scheme)


def _spec(name: str, details: dict[str, Any]) -> TensorSpec:
    dtype = cast(DType, np.dtype(details["dtype"]).name)
    return TensorSpec(name=name, dtype=dtype, shape=tuple(int(dim) for dim in details["shape"]))


def _input(tensor: TensorSpec, source: TensorSpec) -> Port:
    adapters: tuple[Adapter, ...] = () if tensor.dtype == source.dtype else (Cast(to=tensor.dtype),)
    return Port(name=tensor.name, source=source.name, tensor=tensor, adapters=adapters)


def _output(tensor: TensorSpec, source: TensorSpec) -> Port:
    adapters: tuple[Adapter, ...] = () if tensor.dtype == source.dtype else (Cast(to=source.dtype),)
    return Port(name=tensor.name, source=source.name, tensor=tensor, adapters=adapters)


class _TfliteModel:
    """An allocated interpreter. Its signature runner would set shapes and allocate anew in every call; this does not."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._interpreter = interpreter
        inputs, outputs = ends(interpreter)
        self._inputs = {name: details["index"] for name, details in inputs.items()}
        self._outputs = {name: details["index"] for name, details in outputs.items()}

    def __call__(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        for name, index in self._inputs.items():
            self._interpreter.set_tensor(index, array_of(feeds, name))
        self._interpreter.invoke()
        # get_tensor copies
        return {name: self._interpreter.get_tensor(index) for name, index in self._outputs.items()}
