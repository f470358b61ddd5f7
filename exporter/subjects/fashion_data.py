"""Fashion-MNIST (Xiao, Rasul & Vollgraf 2017) as four disjoint sets.

training    rows 0..54,999 of the 60,000 "train" rows
validation  rows 55,000..58,999: recipes are chosen on it
calibration rows 59,000..59,999: quantisers see it
evaluation  all 10,000 "t10k" rows: only reported on
No image occurs twice in the 70,000 (checked again on every load; one that did would be dropped from all but the
set named last above).
"""

from __future__ import annotations

import gzip
import struct
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgedeploy.errors import UserError
from exporter.subjects.base import Arrays, Split, SplitName
from exporter.subjects.disjoint import drop_repeats

LABELS = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
#: of the pixels of the training set, 0..1
MEAN, STD = 0.2860, 0.3530
SOURCE_SIDE, PAD, SIDE = 28, 2, 64
PREPROCESSING = (
    "28x28 grey uint8, 2 zero pixels added on every side (32x32), every pixel repeated 2x2 (64x64), "
    f"(x/255 - {MEAN}) / {STD}, the same plane for all 3 channels"
)
_VALIDATION_FROM, _CALIBRATION_FROM = 55_000, 59_000


def preprocess(raw: Arrays) -> dict[str, npt.NDArray[Any]]:
    """pixels uint8 [b, 28, 28] -> image float32 [b, 3, 64, 64]."""
    return {"image": normalise(np.pad(raw["pixels"], ((0, 0), (PAD, PAD), (PAD, PAD))))}


def normalise(padded: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """padded uint8 [b, 32, 32] -> float32 [b, 3, 64, 64]."""
    table = ((np.arange(256) / 255 - MEAN) / STD).astype(np.float32)
    plane = table[padded.repeat(2, axis=1).repeat(2, axis=2)]
    return np.ascontiguousarray(np.broadcast_to(plane[:, None], (len(plane), 3, SIDE, SIDE)))


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """The array in a gzipped IDX file of bytes. Raises UserError where it is something else."""
    content = gzip.decompress(path.read_bytes())
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise UserError(f"{path} is not an IDX file of bytes; delete it and run again to fetch it anew.")
    start = 4 + 4 * content[3]
    shape = struct.unpack(f">{content[3]}I", content[4:start])
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


@cache
def _splits() -> dict[SplitName, Split]:
    from exporter.subjects.fashion_sources import fetched

    train, train_labels = read_idx(fetched("train-images")), read_idx(fetched("train-labels"))
    test, test_labels = read_idx(fetched("t10k-images")), read_idx(fetched("t10k-labels"))

    def part(pixels: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]) -> Split:
        return Split({"pixels": pixels}, labels.astype(np.int64), preprocess)

    def rows(start: int, stop: int) -> Split:
        return part(train[start:stop], train_labels[start:stop])

    return drop_repeats(
        {
            "train": rows(0, _VALIDATION_FROM),
            "validation": rows(_VALIDATION_FROM, _CALIBRATION_FROM),
            "calibration": rows(_CALIBRATION_FROM, len(train)),
            "evaluation": part(test, test_labels),
        }
    )


def split(name: SplitName) -> Split:
    """One of the four sets; the files are fetched on first use."""
    return _splits()[name]
