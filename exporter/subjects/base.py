"""What a subject is: a model, its data, its metric, its distillation student."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from edgedeploy.errors import UserError
from edgedeploy.signature import SAFE_NAME, Signature
from exporter.given.file import GivenFile
from exporter.trained_ranges import TrainedRange

if TYPE_CHECKING:
    from torch import Tensor, nn

SplitName = Literal["train", "validation", "calibration", "evaluation"]
Arrays = Mapping[str, npt.NDArray[Any]]
#: rows int64 [b], and the generator that augmentation draws from -> inputs in the signature's order, leading axis b
TrainBatch = Callable[[npt.NDArray[np.int64], np.random.Generator], "tuple[Tensor, ...]"]


@dataclass(frozen=True)
class Split:
    """One set of labelled examples, kept raw and preprocessed a batch at a time.

    raw: name -> array [n, ...], as compact as the source has it (pixels uint8, token ids int32).
    labels: int64 [n].
    preprocess: raw batch -> the signature's inputs, name -> array [b, ...] (leading axis is the batch).
    """

    raw: Arrays
    labels: npt.NDArray[np.int64]
    preprocess: Callable[[Arrays], dict[str, npt.NDArray[Any]]]

    @staticmethod
    def from_arrays(
        raw: Arrays,
        labels: npt.ArrayLike,
        preprocess: Callable[[Arrays], dict[str, npt.NDArray[Any]]] = dict,
    ) -> Split:
        """A split from plain arrays; without `preprocess` they are the signature's inputs already.

        Raises ValueError where an array has another number of examples than there are labels.
        """
        answers = np.asarray(labels, dtype=np.int64)
        if answers.ndim != 1:
            raise ValueError(f"labels are one class number per example, not an array of shape {answers.shape}")
        for name, array in raw.items():
            if len(array) != len(answers):
                raise ValueError(f"{name} has {len(array)} examples and there are {len(answers)} labels")
        return Split(dict(raw), answers, preprocess)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, start: int, stop: int) -> dict[str, npt.NDArray[Any]]:
        """The signature's inputs of examples start..stop, leading axis = stop - start."""
        return self.preprocess({name: array[start:stop] for name, array in self.raw.items()})

    def take(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> Split:
        """The same split restricted to these examples, in this order."""
        rows = np.asarray(indices, dtype=np.int64)
        return Split({name: array[rows] for name, array in self.raw.items()}, self.labels[rows], self.preprocess)

    def example_digests(self) -> list[str]:
        """sha256 of each example's raw bytes (labels left out): what disjointness of sets is checked by."""
        names = sorted(self.raw)
        return [
            hashlib.sha256(b"".join(np.ascontiguousarray(self.raw[name][i]).tobytes() for name in names)).hexdigest()
            for i in range(len(self))
        ]

    def digest(self) -> str:
        """sha256 over the examples and their labels, in order."""
        total = hashlib.sha256()
        for name in sorted(self.raw):
            array = np.ascontiguousarray(self.raw[name])
            total.update(f"{name} {array.dtype} {array.shape}".encode())
            total.update(array.tobytes())
        total.update(np.ascontiguousarray(self.labels).tobytes())
        return total.hexdigest()


@dataclass(frozen=True)
class Source:
    """Where a file of a subject is from. `licence` is as its owner states it."""

    what: str
    where: str
    licence: str
    sha256: str


class Progress(Protocol):
    """Told how far a long piece of work is; the command line shows it on stderr."""

    def __call__(self, what: str, done: int, total: int, note: str = "") -> None: ...


@dataclass(frozen=True)
class Weights:
    """Trained weights of a model: where they came from and what they are."""

    model: nn.Module
    digest: str
    #: "shipped", "cache", "trained now" or "given"
    origin: str
    #: the training recipe's parameters, for the manifest
    recipe: dict[str, Any] = field(default_factory=dict)
    #: of activations, where the model was trained to be quantised; with its weights they make what was trained
    ranges: tuple[TrainedRange, ...] = ()


class Student(Protocol):
    """How the small model of a subject is made: distilled from the teacher."""

    def distilled(self, teacher: nn.Module, *, retrain: bool, progress: Progress | None) -> Weights:
        """The distilled student in eval mode, same signature as the teacher."""
        ...


@dataclass(frozen=True)
class Subject:
    """What is deployed.

    model: loads the trained model, in eval mode, taking the signature's inputs in order (leading batch axis) and
        giving its outputs; `retrain` trains anew instead of loading.
    split: loads one of the four sets; all four are disjoint.
    student: how `distilled` makes the small model, or None where the subject has none.
    quantise: "convolutional" or "transformer": which int8 scheme fits the model's heavy operators.
    given: the model file that it is, where it is one, which has a runtime of its own; None for a model in torch.
    train_batch: these rows of the train set as the model's inputs, augmented as in the subject's own training; None
        where the set as `split` gives it is all there is.
    reads: of a subject from a user's Python file, the files and folders that its code reads, by paths from the folder that
        the file is in; empty where it reads none. An export of it asked for again is then answered from a note as long as
        these, the file and what it imports are as they were. It says that nothing else counts: no network, no environment.
        None where that is not known.
    """

    name: str
    signature: Signature
    model: Callable[[bool, Progress | None], Weights]
    split: Callable[[SplitName], Split]
    student: Student | None = None
    quantise: Literal["convolutional", "transformer"] = "convolutional"
    train_batch: TrainBatch | None = None
    sources: tuple[Source, ...] = ()
    given: GivenFile | None = None
    reads: Sequence[str | Path] | None = None

    def __post_init__(self) -> None:
        """Raises UserError for a name that could not be a directory's, or would be one elsewhere; for `reads` of one path."""
        if isinstance(self.reads, str | Path):
            raise UserError(f"reads of the subject {self.name!r} is a list of paths: [{str(self.reads)!r}]")
        if not re.fullmatch(SAFE_NAME, self.name):
            raise UserError(
                f"{self.name!r} cannot be a subject's name: up to 100 letters, digits, and _ . + -, of which it begins with a "
                "letter, a digit or _"
            )
