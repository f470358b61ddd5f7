"""Activation ranges that were trained, and how a runtime's tensor is recognised as the one that a range is of.

A runtime's graph has other names and layouts than the graph that was trained: batch norms are folded, NCHW has become
NHWC, linears are written as products of matrices. What does not change is which values a tensor holds, so a tensor is
recognised by how many they are and by their quantiles, on the same example.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

#: evenly spaced quantiles, the extremes among them
QUANTILES = 17
#: mean difference of the quantiles, over their mean size, up to which two tensors are the same. Float kernels differ by
#: 1e-6; embedding tables in int8, which some runtimes have in their float model already, by up to 5e-3
TOLERANCE = 1e-2


@dataclass(frozen=True)
class Fingerprint:
    """Of a tensor's values, whatever their order: how many, and their QUANTILES quantiles from least to greatest."""

    count: int
    quantiles: tuple[float, ...]

    def distance(self, other: Fingerprint) -> float:
        """0 for equal values; infinite for another number of values, and for nothing but zeros, which tell nothing."""
        size = sum(abs(value) for value in self.quantiles)
        if self.count != other.count or not size:
            return math.inf
        return sum(abs(a - b) for a, b in zip(self.quantiles, other.quantiles, strict=True)) / size


@dataclass(frozen=True)
class TrainedRange:
    """low, high: what int8 is to span. mark: of the tensor in float, on the first calibration example."""

    low: float
    high: float
    mark: Fingerprint


def fingerprint(values: npt.NDArray[Any]) -> Fingerprint:
    """The fingerprint of an array of any shape with at least one value."""
    found = np.quantile(np.asarray(values, np.float64).ravel(), np.linspace(0.0, 1.0, QUANTILES))
    return Fingerprint(int(values.size), tuple(float(value) for value in found))


def find(values: npt.NDArray[Any], trained: Sequence[TrainedRange]) -> TrainedRange | None:
    """The trained range of the tensor that holds these values; None where none is near enough."""
    if not values.size or not trained or not np.isfinite(values).all():
        return None
    mark = fingerprint(values)
    nearest = min(trained, key=lambda each: each.mark.distance(mark))
    return nearest if nearest.mark.distance(mark) <= TOLERANCE else None


def mark_as_json(mark: Fingerprint) -> dict[str, Any]:
    """For a weight file's metadata."""
    return {"count": mark.count, "quantiles": list(mark.quantiles)}


def read_mark(content: Mapping[str, Any]) -> Fingerprint:
    """What `mark_as_json` made. Raises ValueError, TypeError or KeyError where it is none."""
    count, quantiles = content["count"], content["quantiles"]
    if type(count) is not int or count < 1 or not isinstance(quantiles, list) or len(quantiles) != QUANTILES:
        raise ValueError(f"a fingerprint is a count and {QUANTILES} quantiles")
    if not all(isinstance(value, float | int) and math.isfinite(value) for value in quantiles):
        raise ValueError("quantiles are numbers")
    return Fingerprint(count, tuple(float(value) for value in quantiles))
