"""Weights in int8 with a scale for each channel; of an embedding table, for each row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def int8_channels(weight: npt.NDArray[np.float32], axis: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """float32 -> int8 of the same shape and float32 scales, of length 1 along every axis but `axis`.

    Symmetric: weight = scale * int8; a channel of zeros has scale 1.
    """
    others = tuple(each for each in range(weight.ndim) if each != axis)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.clip(np.rint(weight / scales), -127, 127).astype(np.int8), scales


def int8_rows(table: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """float32 [n, d] -> int8 [n, d] and float32 scales [n, 1], symmetric."""
    return int8_channels(table, 0)
