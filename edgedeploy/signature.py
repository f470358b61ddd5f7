"""What a subject takes and gives: the part of the contract that every artifact of a subject shares."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

DType = Literal["float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bool"]
#: bytes of one element, by dtype
ITEM_BYTES: dict[str, int] = {
    "float32": 4, "float16": 2, "int8": 1, "uint8": 1, "int16": 2, "int32": 4, "int64": 8, "bool": 1,
}  # fmt: skip

#: a name that may become part of a path: no separators, no leading dot
SAFE_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}$"
SafeName = Annotated[str, StringConstraints(pattern=SAFE_NAME)]
Dim = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Strict(BaseModel):
    """A contract object: unknown keys are refused, so is what is no finite number, and it does not change once made."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TensorSpec(Strict):
    """One tensor. `shape` is concrete and includes the batch axis, which is 1 in every artifact."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    dtype: DType
    shape: Annotated[tuple[Dim, ...], Field(max_length=8)]

    @property
    def elements(self) -> int:
        """How many elements the tensor has."""
        count = 1
        for dim in self.shape:
            count *= dim
        return count

    @property
    def nbytes(self) -> int:
        """How many bytes the tensor has, without padding."""
        return self.elements * ITEM_BYTES[self.dtype]


class Signature(Strict):
    """The signature of a subject.

    `preprocessing` says in words (and numbers) how a raw example becomes `inputs`; `tokenizer` names the tokeniser
    with its digest where there is one; `metric` is a name known to `edgedeploy.metrics`.
    """

    task: Literal["image-classification", "text-classification", "other"]
    inputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1, max_length=16)]
    outputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1, max_length=16)]
    layout: str = ""
    preprocessing: str = ""
    tokenizer: str | None = None
    labels: tuple[str, ...] = ()
    metric: Literal["top1", "none"] = "top1"

    @model_validator(mode="after")
    def _names_are_file_names(self) -> Signature:
        # they name the files of golden/, so they follow the rule of names that become paths
        for specs in (self.inputs, self.outputs):
            names = [spec.name for spec in specs]
            if len(set(names)) != len(names):
                raise ValueError("two tensors of the signature have the same name")
            for name in names:
                if not re.fullmatch(SAFE_NAME, name):
                    raise ValueError(f"tensor name {name!r}: use letters, digits, _ . + - only, not starting with a dot")
        return self
