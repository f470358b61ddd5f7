"""What travels between the stages of a quantised artifact: int8, of one scale and zero point at both ends.

Where a stage's end is int8 of its own, that travels, bytes as they are. Where it is float, an adapter quantises what leaves,
or makes float of what arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from edgedeploy.artifact import Port, Quantize
from edgedeploy.errors import InternalError
from edgedeploy.signature import TensorSpec
from exporter.calibration import Ranges
from exporter.partition.graph import Piece
from exporter.runtimes.base import CalibrationMethod, Int8End, Lowered

_OWN, _ADAPTER = "own int8", "adapter"


def quantised(port: Port, values: npt.NDArray[Any], method: CalibrationMethod) -> Port:
    """A float output with an adapter to int8 over the range of these values by the method; zero is always one of its steps."""
    ranges = Ranges()
    ranges.observe(port.source, values)
    low, high = ranges.by(method)[port.source]
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / 255.0)) or 1.0
    end = Int8End("int8", scale, int(np.clip(round(-128.0 - low / scale), -128, 127)))
    return port.model_copy(update={"adapters": (*port.adapters, end.quantise())})


def of_output(port: Port) -> Int8End:
    """How what a port gives travels. Raises InternalError for one that travels in float."""
    if port.quantisation is not None:
        return _own(port)
    last = port.adapters[-1] if port.adapters else None
    if not isinstance(last, Quantize):
        raise InternalError(f"{port.source} travels in float")
    return Int8End(last.to, last.scale, last.zero_point)


def ways(stages: Sequence[Lowered]) -> dict[str, Int8End]:
    """Tensor -> how it travels, of those that these stages give as int8."""
    return {
        port.source: of_output(port)
        for stage in stages
        for port in stage.outputs
        if port.quantisation is not None or any(isinstance(adapter, Quantize) for adapter in port.adapters)
    }


def received(lowered: Lowered, before: Sequence[Lowered]) -> Lowered:
    """The stage with its float inputs made float again where an earlier stage gives int8."""
    arriving = ways(before)
    ports = []
    for port in lowered.inputs:
        way = arriving.get(port.source)
        if way is not None and port.quantisation is None:
            port = port.model_copy(update={"adapters": (way.dequantise(), *port.adapters)})
        ports.append(port)
    return replace(lowered, inputs=tuple(ports))


def tensors(stages: Sequence[Lowered], pieces: Sequence[Piece]) -> tuple[TensorSpec, ...]:
    """Every tensor that travels from one stage to a later one, as it travels."""
    as_int8 = ways(stages)
    found: dict[str, TensorSpec] = {}
    for piece in pieces[1:]:
        for spec in piece.inputs:
            way = as_int8.get(spec.name)
            found[spec.name] = spec.model_copy(update={"dtype": way.dtype}) if way is not None else spec
    return tuple(found.values())


def entries(stages: Sequence[Lowered]) -> list[dict[str, Any]]:
    """For the manifest: of every tensor that travels as int8, its scale and by what it leaves and arrives so."""
    as_int8 = ways(stages)
    return [
        {
            "tensor": port.source, "dtype": end.dtype, "scale": end.scale, "zero_point": end.zero_point,
            "leaves_by": _ADAPTER if port.quantisation is None else _OWN,
            "arrives_by": sorted({
                _ADAPTER if taking.quantisation is None else _OWN
                for later in stages[index + 1 :]
                for taking in later.inputs
                if taking.source == port.source
            }),
        }
        for index, stage in enumerate(stages)
        for port in stage.outputs
        if (end := as_int8.get(port.source)) is not None
    ]  # fmt: skip


def unequal(stages: Sequence[Lowered]) -> list[str]:
    """Tensors whose own int8 ends at both sides are not of the same dtype, scale and zero point, which must not be."""
    as_int8 = ways(stages)
    return [
        port.source
        for stage in stages
        for port in stage.inputs
        if port.quantisation is not None and as_int8.get(port.source) != _own(port)
    ]


def _own(port: Port) -> Int8End:
    assert port.quantisation is not None
    dtype = cast(Any, port.tensor.dtype)
    return Int8End(dtype, port.quantisation.scale, port.quantisation.zero_point)
