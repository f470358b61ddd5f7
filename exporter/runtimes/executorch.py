"""ExecuTorch: a float model is exported by torch.export and lowered to a .pte, and runs through executorch.runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from edgedeploy.artifact import Coverage, Port, Precision
from edgedeploy.errors import UserError
from edgedeploy.signature import DType, TensorSpec
from exporter.conversions import converted
from exporter.runtimes.base import CalibrationMethod, HostModel, Int8End, Lowered, Work, own_int8
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
from exporter.runtimes.quiet import quiet
from exporter.traced import own_program

if TYPE_CHECKING:
    import torch


class ExecutorchBackend(Protocol):
    """What a delegate adds to ExecuTorch."""

    name: str
    #: as `Runtime.precisions`
    precisions: tuple[Precision, ...]

    def refuses(self, family: str, precision: str) -> str | None:
        """As `Runtime.refuses`."""
        ...

    def partitioners(self) -> list[Any]:
        """Who picks the operators that the delegate takes."""
        ...

    def passes(self) -> list[Any]:
        """Graph passes on the edge dialect that let the delegate take more."""
        ...

    def schemes(self, work: Work) -> tuple[str, ...]:
        """As `Runtime.schemes`."""
        ...

    def calibrate(self, exported: torch.fx.GraphModule, work: Work, scheme: str) -> Any:
        """What `quantise` needs: the exported float module made ready for the scheme, having seen the examples."""
        ...

    def quantise(
        self, calibrated: Any, work: Work, scheme: str, method: CalibrationMethod
    ) -> tuple[torch.fx.GraphModule, dict[str, Any], dict[str, Int8End]]:
        """The quantised module, ranges by the method, what the manifest says of it, and which of the ends that `work` asks for
        are its own int8."""
        ...

    def convert(
        self, exported: torch.fx.GraphModule, work: Work, precision: Precision
    ) -> tuple[torch.nn.Module, dict[str, Any]]:
        """The module in one of `precisions`, to be exported, and what the manifest says of it. `exported` is used up."""
        ...

    def stored(self, model: Path) -> dict[str, int]:
        """How many elements of the file's constants are of which type, read back from it."""
        ...

    def coverage(self, edge: Any) -> Coverage:
        """What became of the heavy operators of a partitioned EdgeProgramManager."""
        ...


class ExecutorchRuntime:
    """The runtime `executorch`. A .pte names no inputs: ports are input_0… and output_0…, in the model's order."""

    name = "executorch"
    suffix = ".pte"
    packages: tuple[str, ...] = ("torch", "torchao", "executorch")

    def __init__(self, backend: ExecutorchBackend) -> None:
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
        if work.given is not None:
            return self._given(work, destination)
        with replacing(destination) as partial:
            told = converted(self, work, partial, lambda: self._convert_anew(work, partial).model_dump(mode="json"))
            return self._lowered(work, partial, destination, Coverage.model_validate(told), {})

    def lower_int8(self, work: Work, scheme: str, method: CalibrationMethod, destination: Path) -> Lowered:
        """As `Runtime.lower_int8`."""
        if scheme not in self.schemes(work):
            raise UserError(f"executorch has no int8 scheme {scheme!r} for this model; it has {', '.join(self.schemes(work))}")
        calibrated = self._calibrated.get(work, scheme, lambda: self._calibrate(work, scheme))
        quantised, description, own = self._backend.quantise(calibrated, work, scheme, method)
        with converting(self.name, "express the quantised model"):
            import torch

            example = [
                torch.zeros(tensor.shape, dtype=torch.int8) if spec.name in own else tensor
                for spec, tensor in zip(work.signature.inputs, torch_example(work), strict=True)
            ]
            program = torch.export.export(quantised, tuple(example))
        lowered = self._lower(work, program, destination, description)
        inputs, outputs = (tuple(own_int8(port, own) for port in ports) for ports in (lowered.inputs, lowered.outputs))
        return replace(lowered, inputs=inputs, outputs=outputs)

    def lower_to(self, work: Work, precision: Precision, destination: Path) -> Lowered:
        """As `Runtime.lower_to`."""
        require_precision(self, work, precision)
        module, description = self._backend.convert(self._exported(work), work, precision)
        with converting(self.name, f"express the model in {precision}"):
            import torch

            program = torch.export.export(module, torch_example(work))
        lowered = self._lower(work, program, destination, description)
        return replace(lowered, scheme={**description, "stored": self._backend.stored(lowered.file)})

    def open(self, lowered_file: Path, threads: int = 1) -> HostModel:
        """As `Runtime.open`."""
        try:
            return ExecutorchModel(lowered_file, threads)
        except Exception as err:
            raise UserError(f"executorch cannot load {lowered_file.name}: {first_line(err)}") from err

    def _exported(self, work: Work) -> torch.fx.GraphModule:
        return self._program(work).module(check_guards=False)

    def _program(self, work: Work) -> torch.export.ExportedProgram:
        """The model as traced, once for all that is made of it; this caller's own."""
        with converting(self.name, "express this model"):
            return own_program(work.model, torch_example(work))

    def _calibrate(self, work: Work, scheme: str) -> Any:
        return self._backend.calibrate(self._exported(work), work, scheme)

    def _given(self, work: Work, destination: Path) -> Lowered:
        with replacing(destination) as partial:
            copied(self.name, work, partial)
            model = ExecutorchModel(partial, None)
            with converting(self.name, "read this file"):
                from exporter.backends import executorch_file

                coverage = executorch_file.coverage(partial)
        ports = _ports(model.inputs, work.signature.inputs), _ports(model.outputs, work.signature.outputs)
        return Lowered(destination, *ports, coverage)

    def _convert_anew(self, work: Work, destination: Path) -> Coverage:
        return self._write(self._program(work), destination)

    def _lower(self, work: Work, program: Any, destination: Path, scheme: dict[str, Any]) -> Lowered:
        with replacing(destination) as partial:
            coverage = self._write(program, partial)
            return self._lowered(work, partial, destination, coverage, scheme)

    def _write(self, program: Any, destination: Path) -> Coverage:
        """Lower an exported program to a file; what the delegate took of it."""
        with converting(self.name, "lower this model"):
            from executorch.exir import to_edge_transform_and_lower

            edge = to_edge_transform_and_lower(
                program, transform_passes=self._backend.passes(), partitioner=self._backend.partitioners()
            )
            coverage = self._backend.coverage(edge)
            file = edge.to_executorch().buffer
        destination.write_bytes(file)
        return coverage

    def _lowered(self, work: Work, written: Path, destination: Path, coverage: Coverage, scheme: dict[str, Any]) -> Lowered:
        model = ExecutorchModel(written, None)
        require_outputs(self.name, work, [spec.shape for spec in model.outputs])
        if [spec.shape for spec in model.inputs] != [spec.shape for spec in work.signature.inputs]:
            raise UserError(f"executorch: the model does not take the {len(work.signature.inputs)} inputs of its signature")
        return Lowered(
            file=destination,
            inputs=_ports(model.inputs, work.signature.inputs),
            outputs=_ports(model.outputs, work.signature.outputs),
            coverage=coverage,
            scheme=scheme,
        )


def _ports(tensors: Sequence[TensorSpec], sources: Sequence[TensorSpec]) -> tuple[Port, ...]:
    return tuple(
        Port(name=tensor.name, source=source.name, tensor=tensor) for tensor, source in zip(tensors, sources, strict=True)
    )


class ExecutorchModel:
    """The method `forward` of a program. Outputs are copied out of its memory by every call.

    The process has a single thread pool, and a loaded method keeps a pointer to it: resized under a loaded method, the
    next call reads freed memory. So a model remembers which pool it was loaded with and is loaded anew, as soon as it
    is called, after the pool was exchanged for another model's sake.
    """

    #: how often the pool was exchanged by us
    _pool = 0

    def __init__(self, file: Path, threads: int | None) -> None:
        self._file, self._threads = file, threads
        self._load()
        self._prepare()

    def _load(self) -> None:
        with quiet():
            # registers the kernels that are not in the core library: int8 embeddings
            import executorch.kernels.quantized  # noqa: F401
            from executorch.extension.pybindings import portable_lib
            from executorch.runtime import Runtime

            if self._threads is not None and portable_lib._threadpool_get_thread_count() != self._threads:
                portable_lib._unsafe_reset_threadpool(self._threads)
                ExecutorchModel._pool += 1
            self._loaded_with = ExecutorchModel._pool
            self._method = Runtime.get().load_program(self._file).load_method("forward")

    def _prepare(self) -> None:
        """Read the ends of the method and make its inputs' tensors, which share memory with the arrays written to."""
        import torch

        metadata = self._method.metadata
        self.inputs = [_spec(f"input_{index}", metadata.input_tensor_meta(index)) for index in range(metadata.num_inputs())]
        self.outputs = [_spec(f"output_{index}", metadata.output_tensor_meta(index)) for index in range(metadata.num_outputs())]
        self._places = [np.zeros(spec.shape, spec.dtype) for spec in self.inputs]
        self._tensors = [torch.from_numpy(place) for place in self._places]

    def __call__(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
        if self._loaded_with != ExecutorchModel._pool:
            self._load()
        for spec, place in zip(self.inputs, self._places, strict=True):
            array = array_of(feeds, spec.name)
            if array.shape != spec.shape or array.dtype != place.dtype:
                raise ValueError(f"{spec.name} is {spec.dtype} {list(spec.shape)}, given {array.dtype} {list(array.shape)}")
            np.copyto(place, array)
        given = self._method.execute(self._tensors)
        return {spec.name: np.asarray(tensor) for spec, tensor in zip(self.outputs, given, strict=True)}


def _spec(name: str, info: Any) -> TensorSpec:
    return TensorSpec(name=name, dtype=_DTYPES[info.dtype()], shape=tuple(info.sizes()))


#: ExecuTorch's ScalarType numbers are those of PyTorch (c10/core/ScalarType.h)
_DTYPES: dict[int, DType] = {
    0: "uint8", 1: "int8", 2: "int16", 3: "int32", 4: "int64", 5: "float16", 6: "float32", 11: "bool",
}  # fmt: skip
