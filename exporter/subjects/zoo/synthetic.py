"""Examples drawn from a seed, for models whose weights are random: images N(0, 1), token ids uniform, nothing masked.

They stand for the work, not for the world: no label belongs to them, and the signature's metric is "none".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from exporter.subjects.base import Split, SplitName
from exporter.subjects.zoo.ends import IMAGE, Ends

SEED = 411
#: few: an image at 224 pixels has 0.6 MB, and golden inputs go into every bundle. Nothing is trained on them
SIZES: dict[str, dict[SplitName, int]] = {
    "image": {"train": 0, "validation": 8, "calibration": 32, "evaluation": 8},
    "text": {"train": 0, "validation": 16, "calibration": 64, "evaluation": 16},
}
_ORDER: tuple[SplitName, ...] = ("train", "validation", "calibration", "evaluation")
SAYS = f"synthetic, drawn from seed {SEED}: "


def split(ends: Ends, name: SplitName) -> Split:
    """One of the four sets. Sets differ, and are the same whenever they are drawn."""
    rng = np.random.default_rng([SEED, _ORDER.index(name)])
    return Split.from_arrays(arrays(ends, SIZES[ends.kind][name], rng), np.zeros(SIZES[ends.kind][name], np.int64))


def arrays(ends: Ends, count: int, rng: np.random.Generator) -> dict[str, npt.NDArray[Any]]:
    """`count` examples of the model's inputs: image float32 [n, 3, size, size], or ids, mask and types int64 [n, size]."""
    if ends.kind == "image":
        return {IMAGE: rng.standard_normal((count, 3, ends.size, ends.size), dtype=np.float32)}
    shape = (count, ends.size)
    second = np.arange(ends.size) >= ends.size // 2
    made = {
        "input_ids": rng.integers(0, ends.vocabulary, shape, dtype=np.int64),
        "attention_mask": np.ones(shape, np.int64),
        "token_type_ids": np.broadcast_to(second.astype(np.int64), shape).copy(),
    }
    return {spec.name: made[spec.name] for spec in ends.inputs}


def described(ends: Ends) -> str:
    """In words, for the signature."""
    if ends.kind == "image":
        return f"{SAYS}every value N(0, 1)"
    types = ", the second half of the tokens of the second sentence" if ends.types else ""
    return f"{SAYS}token ids uniform below {ends.vocabulary:,}, nothing masked{types}"
