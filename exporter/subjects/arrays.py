"""The sets of a user's subject from one file: `data.npz`, read without pickle.

arrays `<split>_<input name>` [n, ...] and `<split>_labels` [n], for the splits calibration and evaluation, and for
validation and train if there are any
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgedeploy.errors import UserError
from edgedeploy.signature import TensorSpec
from exporter.subjects.base import Split, SplitName
from exporter.subjects.disjoint import KEEP_LAST, drop_repeats

#: of the calibration examples, the share that becomes the validation set where data.npz has none
VALIDATION_SHARE = 0.5


def read_splits(data: Path, specs: Sequence[TensorSpec], what: str = "the program") -> dict[SplitName, Split]:
    """The sets in the file; a validation set is cut off the calibration set where there is none.

    specs: the inputs at batch 1. Raises UserError where the file does not fit them.
    """
    arrays = _arrays(data)
    for name in ("calibration", "evaluation"):
        if f"{name}_labels" not in arrays:
            raise UserError(f"{data} has no {name}_labels; {name} examples are needed.")
    present = [name for name in KEEP_LAST if f"{name}_labels" in arrays]
    return completed({name: _split(arrays, name, specs, data, what) for name in present})


def read_sets(data: Path, specs: Sequence[TensorSpec], what: str) -> tuple[dict[SplitName, Split], bool]:
    """As `read_splits`, of a file that may have no labels at all: all are 0 then. And whether it has them."""
    arrays = _arrays(data)
    labelled = any(name.endswith("_labels") for name in arrays)
    if labelled:
        return read_splits(data, specs, what), True
    for name in ("calibration", "evaluation"):
        if not any(f"{name}_{spec.name}" in arrays for spec in specs):
            wanted = ", ".join(f"{name}_{spec.name}" for spec in specs)
            raise UserError(f"{data} has no {name} examples; they are needed ({wanted}). It has {_listed(arrays)}.")
    present = [name for name in KEEP_LAST if any(f"{name}_{spec.name}" in arrays for spec in specs)]
    for name in present:
        first = arrays.get(f"{name}_{specs[0].name}")
        arrays[f"{name}_labels"] = np.zeros(len(first) if first is not None and first.ndim else 0, np.int64)
    return completed({name: _split(arrays, name, specs, data, what) for name in present}), False


def _listed(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    return ", ".join(sorted(arrays)[:12]) or "no arrays"


def _split(
    arrays: Mapping[str, npt.NDArray[Any]], name: SplitName, specs: Sequence[TensorSpec], data: Path, what: str
) -> Split:
    raw = {spec.name: _column(arrays, name, spec, data, what) for spec in specs}
    return Split.from_arrays(raw, arrays[f"{name}_labels"])


def _arrays(data: Path) -> dict[str, npt.NDArray[Any]]:
    """What is in the file. Raises UserError where it is no archive of plain arrays, or its labels are no classes."""
    try:
        with np.load(data, allow_pickle=False) as file:
            arrays: dict[str, npt.NDArray[Any]] = {name: file[name] for name in file.files}
    except Exception as error:  # numpy, zipfile and zlib each have their own for a damaged file
        raise UserError(f"{data} is no .npz of plain arrays: {error or type(error).__name__}") from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise UserError(f"{data} is no .npz of plain arrays: {name} is none.")
        if name.endswith("_labels") and (array.ndim != 1 or not np.issubdtype(array.dtype, np.integer)):
            raise UserError(f"{data}: {name} must be integers [n], the number of each example's class, not {array.dtype} "
                            f"{list(array.shape)}.")  # fmt: skip
    return arrays


def completed(splits: dict[SplitName, Split]) -> dict[SplitName, Split]:
    """The same sets, disjoint, with a validation set cut off the calibration set where there is none."""
    cut = {} if "validation" in splits else _cut_off(splits["calibration"])
    return drop_repeats({**splits, **cut})


def chosen(splits: dict[SplitName, Split], name: SplitName, data: Path | None) -> Split:
    """One of the sets. Raises UserError where the file has none of that name."""
    if name not in splits:
        raise UserError(f"{data} has no {name} examples; add {name}_labels and the arrays that go with it.")
    return splits[name]


def _column(
    arrays: Mapping[str, npt.NDArray[Any]], name: SplitName, spec: TensorSpec, data: Path, what: str
) -> npt.NDArray[Any]:
    key = f"{name}_{spec.name}"
    if key not in arrays:
        raise UserError(f"{data} has no array {key}; each input needs one. It has {_listed(arrays)}.")
    found = arrays[key]
    if found.shape[1:] != spec.shape[1:] or str(found.dtype) != spec.dtype:
        raise UserError(
            f"{data}: {key} is {found.dtype} {list(found.shape)}, but {what} takes {spec.dtype} "
            f"[n, {', '.join(map(str, spec.shape[1:]))}]."
        )
    if len(found) != len(arrays[f"{name}_labels"]) or len(found) == 0:
        raise UserError(f"{data}: {key} and {name}_labels must have the same number of examples, and at least one.")
    return found


def _cut_off(calibration: Split) -> dict[SplitName, Split]:
    """Two disjoint parts of the calibration examples: those with the lowest digests become the validation set."""
    digests = calibration.example_digests()
    by_digest = sorted(range(len(calibration)), key=lambda row: hashlib.sha256(digests[row].encode()).digest())
    cut = int(len(by_digest) * VALIDATION_SHARE)
    if cut < 1:
        raise UserError("there is one calibration example; give more, or validation examples of their own.")
    return {
        "validation": calibration.take(sorted(by_digest[:cut])),
        "calibration": calibration.take(sorted(by_digest[cut:])),
    }
