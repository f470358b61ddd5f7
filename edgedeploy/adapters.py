"""The adapters of a port, done in numpy: the host's twin of what the native runner does before and after the timed call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from edgedeploy.artifact import Adapter, Cast, Dequantize, Quantize, Transpose


def _cast(array: npt.NDArray[Any], to: str) -> npt.NDArray[Any]:
    target = np.dtype(to)
    if np.issubdtype(target, np.integer) and array.size:
        limits = np.iinfo(target)
        if array.min() < limits.min or array.max() > limits.max:
            raise ValueError(f"a value does not fit {to}")
    return array.astype(target)


def apply(array: npt.NDArray[Any], adapters: Iterable[Adapter]) -> npt.NDArray[Any]:
    """Apply adapters in order to one tensor (any shape). Raises ValueError for a value or a shape that does not fit."""
    for adapter in adapters:
        if isinstance(adapter, Cast):
            array = _cast(array, adapter.to)
        elif isinstance(adapter, Quantize):
            limits = np.iinfo(np.dtype(adapter.to))
            # float32 throughout, as the runner computes it: a double would round some halves the other way
            scaled = np.rint(array.astype(np.float32) / np.float32(adapter.scale)) + adapter.zero_point
            array = np.clip(scaled, limits.min, limits.max).astype(adapter.to)
        elif isinstance(adapter, Dequantize):
            shifted = array.astype(np.int32) - adapter.zero_point
            array = shifted.astype(np.float32) * np.float32(adapter.scale)
        elif isinstance(adapter, Transpose):
            array = np.transpose(array, adapter.perm)
        else:
            array = array.reshape(adapter.shape)
    # ascontiguousarray would make a scalar a vector
    return np.ascontiguousarray(array) if array.ndim else array
