"""An embedding table in int8, a scale for each row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def int8_rows(table: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """float32 [n, d] -> int8 [n, d] and float32 scales [n, 1], symmetric: row = scale * int8; a row of zeros has scale 1."""
    largest = np.abs(table).max(axis=1, keepdims=True)
    scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.clip(np.rint(table / scales), -127, 127).astype(np.int8), scales
