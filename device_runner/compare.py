"""Conformance: whether a device's outputs are those that the host got from this very artifact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from edgedeploy.artifact import Conformance


@dataclass(frozen=True)
class Comparison:
    """max_abs: the largest |device - host|, NaN when one side has a NaN or an infinity where the other has not."""

    ok: bool
    max_abs: float
    detail: str


def conforms(expected: npt.NDArray[Any], given: npt.NDArray[Any], tolerance: Conformance, name: str) -> Comparison:
    """Compare one output, [cases, elements] each. The bound is |device - host| <= atol + rtol * |host|."""
    host, device = expected.astype(np.float64), given.astype(np.float64)
    within = np.isclose(device, host, rtol=tolerance.rtol, atol=tolerance.atol, equal_nan=True)
    with np.errstate(invalid="ignore"):
        apart = np.where(device == host, 0.0, np.abs(device - host))
    largest = float(apart.max()) if apart.size else 0.0
    if within.all():
        return Comparison(True, largest, f"{name}: max |device - host| {largest:.3g} over {len(host)} cases")
    case = int(np.flatnonzero(~within.all(axis=1))[0])
    bound = f"atol {tolerance.atol:.3g} + rtol {tolerance.rtol:.3g}"
    detail = f"{name}: {int((~within).sum())} of {within.size} values beyond {bound}"
    return Comparison(False, largest, f"{detail}; first in case {case}; max |device - host| {largest:.3g}")
