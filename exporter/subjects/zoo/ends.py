"""What a model of a zoo takes and gives, known from its configuration before it is built."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from edgedeploy.errors import UserError
from edgedeploy.signature import Signature, TensorSpec

if TYPE_CHECKING:
    from exporter.subjects.zoo.pictures import Pixels

IMAGE = "image"
TEXT = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(frozen=True)
class Ends:
    """kind: an image float32 [b, 3, size, size], or a text of `size` tokens: ids, mask and perhaps types, int64 [b, size].

    classes: logits float32 [b, classes]. vocabulary: ids of a text are below it. types: whether the text model is told
    which of two sentences a token is of. prepared: in words, how its publisher prepares an example; pixels: the same for
    images as numbers, where they are known.
    """

    kind: Literal["image", "text"]
    size: int
    classes: int
    vocabulary: int = 0
    types: bool = False
    prepared: str = ""
    pixels: Pixels | None = None

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs at batch 1."""
        if self.kind == "image":
            return (TensorSpec(name=IMAGE, dtype="float32", shape=(1, 3, self.size, self.size)),)
        names = TEXT if self.types else TEXT[:2]
        return tuple(TensorSpec(name=name, dtype="int64", shape=(1, self.size)) for name in names)

    def signature(self, preprocessing: str, *, measured: bool) -> Signature:
        """The signature of a subject; accuracy is reported only where it is `measured`."""
        return Signature(
            task="image-classification" if self.kind == "image" else "text-classification",
            inputs=self.inputs,
            outputs=(TensorSpec(name="logits", dtype="float32", shape=(1, self.classes)),),
            layout="NCHW" if self.kind == "image" else "NL",
            preprocessing=preprocessing,
            metric="top1" if measured else "none",
        )


def shared(model: Ends, student: Ends, *, random: bool) -> Ends:
    """What both take: a model and its student have one signature.

    Token types are left out where one of them knows none. Of two vocabularies the smaller one bounds random ids; with
    weights that mean something they have to be the same. Raises UserError where the two cannot stand for each other.
    """
    if (model.kind, model.size, model.classes) != (student.kind, student.size, student.classes):
        raise UserError(
            f"the student takes {student.kind} of size {student.size} and knows {student.classes} classes, the model "
            f"{model.kind} of {model.size} and {model.classes}: a student stands for the model, so these must be the same."
        )
    if model.vocabulary != student.vocabulary and not random:
        raise UserError(
            f"the student's vocabulary has {student.vocabulary:,} tokens and the model's {model.vocabulary:,}, so the same "
            "ids are other words to it; give --student a model with the model's tokeniser."
        )
    return replace(model, vocabulary=min(model.vocabulary, student.vocabulary), types=model.types and student.types)
