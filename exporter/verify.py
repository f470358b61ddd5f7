"""Is the artifact the model it was made from? Numeric parity, and accuracy on a labelled set."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgedeploy.artifact import Parity
from edgedeploy.signature import Signature
from exporter.subjects.base import Progress, Split

if TYPE_CHECKING:
    import torch
    from torch import nn

Outputs = dict[str, npt.NDArray[Any]]
#: examples preprocessed at a time; bounds memory, has no influence on results
CHUNK = 256


def run_one_by_one(
    model: Callable[[Mapping[str, npt.NDArray[Any]]], Outputs], split: Split, what: str, progress: Progress | None
) -> Outputs:
    """Every example through a batch-1 model: name -> [n, ...]."""
    collected: dict[str, list[npt.NDArray[Any]]] = {}
    n = len(split)
    for start in range(0, n, CHUNK):
        batch = split.batch(start, min(n, start + CHUNK))
        for i in range(min(CHUNK, n - start)):
            given = model({name: array[i : i + 1] for name, array in batch.items()})
            for name, array in given.items():
                collected.setdefault(name, []).append(array)
        if progress is not None:
            progress(what, min(n, start + CHUNK), n)
    return {name: np.concatenate(arrays) for name, arrays in collected.items()}


def run_torch(model: nn.Module, signature: Signature, split: Split, what: str, progress: Progress | None) -> Outputs:
    """Every example through the float torch model, in batches: name -> [n, ...]."""
    import torch

    collected: dict[str, list[npt.NDArray[Any]]] = {spec.name: [] for spec in signature.outputs}
    n, size = len(split), 64
    with torch.no_grad():
        for start in range(0, n, size):
            batch = split.batch(start, min(n, start + size))
            given = model(*(_tensor(batch[spec.name]) for spec in signature.inputs))
            tensors = given if isinstance(given, tuple | list) else (given,)
            for spec, tensor in zip(signature.outputs, tensors, strict=True):
                collected[spec.name].append(tensor.numpy())
            if progress is not None:
                progress(what, min(n, start + size), n)
    return {name: np.concatenate(arrays) for name, arrays in collected.items()}


def fed_digest(signature: Signature, split: Split) -> str:
    """sha256 (hex) of every example as a model is fed it: preprocessed."""
    total = hashlib.sha256()
    for start in range(0, len(split), CHUNK):
        batch = split.batch(start, min(len(split), start + CHUNK))
        for spec in signature.inputs:
            array = np.ascontiguousarray(batch[spec.name])
            total.update(f"{spec.name} {array.dtype} {array.shape}".encode())
            total.update(array.tobytes())
    return total.hexdigest()


def _tensor(array: npt.NDArray[Any]) -> torch.Tensor:
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(array))
    # the same values; convolutions on a CPU take half the time with channels last
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


def parity(reference: Outputs, made: Outputs, primary: str, golden: int, against: str) -> Parity:
    """How far `made` is from `reference`, both name -> [n, ...] over the same examples.

    The numeric part is over the first `golden` examples and all outputs, the agreement of the top class over all examples
    of the output `primary` (None where it has no classes to choose from).
    """
    worst, total, values, cosine = 0.0, 0.0, 0, 1.0
    for name, expected in reference.items():
        a = expected[:golden].astype(np.float64)
        b = made[name][:golden].astype(np.float64)
        gap = np.abs(a - b)
        if not np.isfinite(gap).all():
            return Parity(against=against, golden_cases=golden, max_abs=1e300, mean_abs=1e300, min_cosine=-1.0)
        worst, total, values = max(worst, float(gap.max())), total + float(gap.sum()), values + gap.size
        for x, y in zip(a.reshape(golden, -1), b.reshape(golden, -1), strict=True):
            norm = float(np.linalg.norm(x) * np.linalg.norm(y))
            cosine = min(cosine, float(x @ y) / norm if norm else float(np.array_equal(x, y)))
    classes = reference[primary]
    same = None
    if classes.ndim == 2 and classes.shape[1] > 1:
        same = float((classes.argmax(1) == made[primary].argmax(1)).mean())
    return Parity(
        against=against, golden_cases=golden, max_abs=worst, mean_abs=total / max(values, 1),
        min_cosine=max(-1.0, min(1.0, cosine)), same_top1=same, evaluated=len(classes),
    )  # fmt: skip
