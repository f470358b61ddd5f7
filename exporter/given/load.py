"""A given file with its data as a subject."""

from __future__ import annotations

from pathlib import Path

from edgedeploy.errors import UserError
from edgedeploy.signature import Signature
from exporter.fetch import sha256_of
from exporter.given import SAVED_MODEL, TENSORFLOW_FORMS, form_of
from exporter.given.file import GivenFile, safe_name
from exporter.given.probe import probe
from exporter.subjects.arrays import chosen, read_sets
from exporter.subjects.base import Progress, Subject, Weights

#: where the data has no labels, or there is nothing to choose between
_LAYOUT = "arrays <split>_<input name>, and <split>_labels where accuracy is to be measured"


def load_given(path: Path, data: Path | None) -> Subject:
    """The subject that a model file and its .npz are. Raises UserError where one is missing, unsafe or does not fit."""
    form = form_of(str(path))
    if not path.is_file() and form != SAVED_MODEL:
        raise UserError(f"there is no file {path}.")
    if data is None or not data.is_file():
        missing = "--data data.npz is missing" if data is None else f"there is no file {data}"
        raise UserError(f"{path} needs its data: {missing} ({_LAYOUT}).")
    if form in TENSORFLOW_FORMS:
        from exporter.given.tensorflow import convert

        return subject_of(*convert(path), path, data)
    digest = sha256_of(path)
    return subject_of(probe(path), digest, path, data)


def subject_of(file: GivenFile, digest: str, path: Path, data: Path) -> Subject:
    """The subject of a file that was looked into. digest: of what was given."""
    splits, labelled = read_sets(data, file.inputs, f"{path.name}")
    if labelled:
        _require_classes(file, path, [splits[name].labels for name in splits])

    def given(retrain: bool, progress: Progress | None) -> Weights:
        from exporter.given.model import GivenModel

        if retrain:
            raise UserError(f"{path} is a finished file; there is nothing to retrain.")
        return Weights(GivenModel(file), digest, "given")

    return Subject(
        name=safe_name(path.stem),
        signature=Signature(
            task="other", inputs=file.inputs, outputs=file.outputs, metric="top1" if labelled else "none",
            preprocessing="none: the arrays are the inputs",
        ),
        model=given,
        split=lambda name: chosen(splits, name, data),
        quantise=file.family,
        given=file,
    )  # fmt: skip


def _require_classes(file: GivenFile, path: Path, labels: list[object]) -> None:
    import numpy as np

    every = np.concatenate([np.asarray(each) for each in labels])
    shape = file.outputs[0].shape
    classes = shape[-1] if len(shape) == 2 else 0
    if classes < 2 or every.min() < 0 or every.max() >= classes:
        raise UserError(
            f"{path}: the first output of a classifier is [1, classes] and the labels are 0..classes-1; it gives "
            f"{list(shape)} and the labels are {every.min()}..{every.max()}. Without labels it is exported all the same."
        )
