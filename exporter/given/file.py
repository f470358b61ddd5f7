"""What is known of a model file that was given, as it is used: a private copy that was loaded and run once, under limits."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from pydantic import ValidationError

from edgedeploy.errors import UserError
from edgedeploy.signature import ITEM_BYTES, DType, TensorSpec


@dataclass(frozen=True)
class GivenFile:
    """A model file of a runtime.

    path: the copy that is used. form: what was given (".onnx"). own_inputs, own_outputs: what the file calls its ends, in
    the order of `inputs` and `outputs`, whose names are made fit for a signature. parameters, macs: as counted in the file.
    small: why its weights cannot be made smaller, "" where they are float32. changes: what the copy has other than the
    original, for people. tools: what it was converted by, with versions. fixed: of a model that TensorFlow converted, what it
    makes int8 of. kept: holds the folders that the paths are in.
    """

    path: Path
    form: str
    runtime: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    own_inputs: tuple[str, ...]
    own_outputs: tuple[str, ...]
    parameters: int
    macs: int
    family: Literal["convolutional", "transformer"]
    small: str = ""
    changes: tuple[str, ...] = ()
    tools: Mapping[str, str] = field(default_factory=dict)
    fixed: Path | None = None
    kept: Any = field(default=None, compare=False, repr=False)


def specs(ends: Sequence[dict[str, Any]], what: str) -> tuple[TensorSpec, ...]:
    """The ends as `examine` tells them, as tensors of a signature. Raises UserError where they cannot be that."""
    made: list[TensorSpec] = []
    for end in ends:
        name = unused(safe_name(str(end["name"])), [spec.name for spec in made])
        if end["dtype"] not in ITEM_BYTES:
            raise UserError(f"{what}: {end['name']!r} is of {end['dtype']}; tensors of {', '.join(ITEM_BYTES)} can be deployed")
        try:
            made.append(TensorSpec(name=name, dtype=cast(DType, end["dtype"]), shape=tuple(end["shape"])))
        except ValidationError as error:
            raise UserError(f"{what}: {end['name']!r} has the shape {end['shape']}: {error.errors()[0]['msg']}") from None
    return tuple(made)


def safe_name(name: str) -> str:
    """The name with nothing in it that a signature's names may not have."""
    kept = re.sub(r"[^A-Za-z0-9_.+-]+", "_", name)[:90].lstrip(".+-")
    return kept.strip("_") or kept or "tensor"


def unused(name: str, taken: Collection[str]) -> str:
    """The name, with a number behind it where it is taken."""
    made, number = name, 1
    while made in taken:
        made, number = f"{name}_{number}", number + 1
    return made
