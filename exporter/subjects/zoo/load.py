"""Subjects from the zoos: `timm:resnet18`, with `--weights`, `--student` and `--data`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from edgedeploy.errors import UserError
from exporter.subjects.arrays import chosen, read_splits
from exporter.subjects.base import Progress, Split, SplitName, Student, Subject, Weights
from exporter.subjects.zoo import synthetic
from exporter.subjects.zoo.build import build, ends_of, inputs, require_weights
from exporter.subjects.zoo.ends import Ends, shared
from exporter.subjects.zoo.family import family
from exporter.subjects.zoo.pictures import read_pictures
from exporter.subjects.zoo.reference import Reference, parse


@dataclass(frozen=True)
class ZooStudent(Student):
    """A student as it is in a zoo: nothing is trained here, and its weights say so."""

    reference: Reference
    ends: Ends

    def distilled(self, teacher: nn.Module, *, retrain: bool, progress: Progress | None) -> Weights:
        """The student with the weights that were asked for; the teacher is not asked."""
        _refuse_retraining(self.reference, retrain)
        if progress is not None:
            progress(f"student {self.reference.title}: {self.reference.weights} weights", 0, 0)
        made = build(self.reference, self.ends)
        how = "none: random weights, for latency alone" if self.reference.random else "none here: as its publisher trained it"
        return replace(made, recipe={**made.recipe, "distillation": how})


def load_zoo(
    text: str,
    data: Path | None = None,
    *,
    weights: str | None = None,
    student: str | None = None,
    called: str | None = None,
) -> Subject:
    """The subject that `text` names (see `reference`); `called` is its name where it has one of its own.

    weights: "pretrained" (also None), "random", or a safetensors file. With random weights nothing is measured but time:
    the metric is "none", and without `data` the examples are drawn from a seed. Weights that mean something need `data`,
    an .npz with the arrays of `exporter.subjects.arrays` (the model's own inputs), or a folder of images (see `pictures`).
    student: another model of a zoo, for `distilled`; random where the model is, otherwise pretrained or its own file.
    Raises UserError, in a sentence, where something cannot be had.
    """
    reference = parse(text, weights)
    ends = ends_of(reference)
    taught: Student | None = None
    if student is not None:
        theirs = _student_reference(student, reference, ends)
        ends = shared(ends, ends_of(theirs), random=reference.random and theirs.random)
        taught = ZooStudent(theirs, ends)
    if data is None and not reference.random:
        # what no data would help is said before data is asked for
        require_weights(reference)
        needed = ", ".join(f"<split>_{spec.name}" for spec in ends.inputs)
        folder = ", or a folder of <split>/<class>/<image>" if ends.pixels is not None else ""
        raise UserError(
            f"{reference.title} with trained weights needs examples: --data FILE.npz with arrays {needed} and <split>_labels"
            f"{folder}, for the splits calibration and evaluation; or --weights random, for its latency alone."
        )
    made = build(reference, ends)
    given = None if data is None else _examples(data, ends, reference)

    def model(retrain: bool, progress: Progress | None) -> Weights:
        _refuse_retraining(reference, retrain)
        return made

    def split(name: SplitName) -> Split:
        if given is None:
            return synthetic.split(ends, name)
        return chosen(given, name, data) if name != "train" or name in given else given["calibration"].take([])

    return Subject(
        name=f"{called}{'-random' if reference.random else ''}" if called else reference.subject_name,
        signature=ends.signature(
            synthetic.described(ends) if given is None else f"as its publisher's: {ends.prepared}",
            measured=given is not None and not reference.random,
        ),
        model=model,
        split=split,
        student=taught,
        quantise=family(made.model, inputs(ends, 1)),
    )


def _student_reference(text: str, model: Reference, ends: Ends) -> Reference:
    """The student's reference: of the model's size, random only where the model is."""
    own_file = "@" in text
    theirs = parse(text, "random" if model.random and not own_file else None)
    if model.random != theirs.random:
        raise UserError(f"{text}: with random weights the student's are random too; leave its file out.")
    if theirs.size is not None and theirs.size != ends.size:
        raise UserError(f"{text}: a student takes what its model takes, which is of size {ends.size}; leave the size out.")
    return replace(theirs, size=ends.size)


def _refuse_retraining(reference: Reference, retrain: bool) -> None:
    if retrain:
        raise UserError(f"{reference.title} is taken as it is in its zoo; there is nothing to retrain, leave --retrain out.")


def _examples(data: Path, ends: Ends, reference: Reference) -> dict[SplitName, Split]:
    """The sets in a file or, for images, in a folder. Raises UserError where they do not fit the model."""
    if not data.is_dir():
        splits = read_splits(data, ends.inputs, reference.title)
        _require_known(splits, ends, data)
        return splits
    if ends.pixels is None:
        raise UserError(f"{data} is a folder, and how {reference.title} takes images is not known; give an .npz of its inputs.")
    return read_pictures(data, ends.pixels, ends.size, ends.classes)


def _require_known(splits: dict[SplitName, Split], ends: Ends, data: Path) -> None:
    """Raise UserError where labels or token ids are beyond what the model knows."""
    for name, split in splits.items():
        if len(split) and not 0 <= split.labels.min() <= split.labels.max() < ends.classes:
            raise UserError(f"{data}: {name}_labels are {split.labels.min()}..{split.labels.max()}, the model knows "
                            f"0..{ends.classes - 1}.")  # fmt: skip
        if ends.kind == "text" and len(split):
            ids = torch.from_numpy(split.raw["input_ids"])
            if int(ids.min()) < 0 or int(ids.max()) >= ends.vocabulary:
                raise UserError(f"{data}: {name}_input_ids are not all below {ends.vocabulary:,}, the model's vocabulary.")
