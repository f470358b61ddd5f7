"""A user's own subject as two files: an exported program, and its data.

model.pt2  what `torch.export.save` wrote: inputs with a leading batch axis, variable or 1
data.npz   its sets, as in `exporter.subjects.arrays`
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from edgedeploy.errors import UserError
from edgedeploy.signature import ITEM_BYTES, DType, Signature, TensorSpec
from exporter.fetch import sha256_of
from exporter.subjects.arrays import chosen, read_splits
from exporter.subjects.base import Progress, Split, Subject, Weights
from exporter.subjects.pt2_guard import refuse_hostile


class ProgramModel(nn.Module):
    """An exported program as a module that also takes batches where it was exported for one example."""

    def __init__(self, program: torch.export.ExportedProgram, one_at_a_time: bool) -> None:
        super().__init__()
        self.program = program.module()
        self.one_at_a_time = one_at_a_time

    def train(self, mode: bool = True) -> ProgramModel:
        """Nothing to switch: a program was exported in one mode."""
        return self

    def forward(self, *inputs: Tensor) -> Any:
        if not self.one_at_a_time or inputs[0].shape[0] == 1:
            return self.program(*inputs)
        each = [self.program(*(x[i : i + 1] for x in inputs)) for i in range(inputs[0].shape[0])]
        if isinstance(each[0], Tensor):
            return torch.cat(each)
        return tuple(torch.cat(parts) for parts in zip(*each, strict=True))


def load_program(path: Path, data: Path | None) -> Subject:
    """The subject that a .pt2 and its .npz are. It has no student: nobody knows how to train one.

    The archive is looked through before torch opens it (see `pt2_guard`); the arrays are read without pickle.
    Raises UserError where a file is missing, unsafe, or does not fit the other one.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}.")
    if data is None or not data.is_file():
        missing = "--data data.npz is missing" if data is None else f"there is no file {data}"
        raise UserError(f"{path} needs its data: {missing} (arrays <split>_<input name> and <split>_labels).")
    refuse_hostile(path)
    try:
        program = torch.export.load(path)
    except Exception as error:
        raise UserError(f"{path} could not be loaded by torch {torch.__version__}: {error}") from error
    specs, one_at_a_time = _input_specs(program, path)
    model = ProgramModel(program, one_at_a_time)
    splits = read_splits(data, specs)
    signature = _signature(model, specs, splits["evaluation"], path)
    digest = sha256_of(path)

    def given(retrain: bool, progress: Progress | None) -> Weights:
        if retrain:
            raise UserError(f"{path} is a finished program; there is nothing to retrain.")
        return Weights(model, digest, "given")

    return Subject(
        name=_name(path),
        signature=signature,
        model=given,
        split=lambda name: chosen(splits, name, data),
        quantise=_scheme(program),
    )


def _name(path: Path) -> str:
    """The file's, as it can be a directory's."""
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", path.stem).lstrip("-.+")[:100] or "program"


def _scheme(program: torch.export.ExportedProgram) -> Any:
    convolutions = any("conv" in str(node.target) for node in program.graph.nodes if node.op == "call_function")
    return "convolutional" if convolutions else "transformer"


def _input_specs(program: torch.export.ExportedProgram, path: Path) -> tuple[tuple[TensorSpec, ...], bool]:
    """The inputs at batch 1, and whether the program takes nothing but batch 1."""
    wanted = set(program.graph_signature.user_inputs)
    specs, fixed = [], False
    for node in program.graph.nodes:
        if node.op != "placeholder" or node.name not in wanted:
            continue
        value = node.meta["val"]
        if not isinstance(value, Tensor) or value.ndim < 1:
            raise UserError(f"{path}: input {node.name} is no tensor with a batch axis.")
        dims = list(value.shape)
        if isinstance(dims[0], int):
            fixed = True
            if dims[0] != 1:
                raise UserError(f"{path}: input {node.name} was exported for a batch of {dims[0]}; export it for 1.")
        if any(not isinstance(dim, int) for dim in dims[1:]):
            raise UserError(f"{path}: input {node.name} has a variable axis besides the batch; export it with a size.")
        specs.append(TensorSpec(name=node.name, dtype=_dtype(value, path), shape=(1, *dims[1:])))
    if not specs:
        raise UserError(f"{path} has no inputs.")
    return tuple(specs), fixed


def _dtype(value: Tensor, path: Path) -> DType:
    name = str(value.dtype).removeprefix("torch.")
    if name not in ITEM_BYTES:
        raise UserError(f"{path}: {name} tensors are not supported; use one of {', '.join(ITEM_BYTES)}.")
    return cast(DType, name)


def _signature(model: nn.Module, specs: tuple[TensorSpec, ...], split: Split, path: Path) -> Signature:
    batch = split.batch(0, 1)
    try:
        with torch.no_grad():
            given = model(*(torch.from_numpy(batch[spec.name]) for spec in specs))
    except Exception as error:
        raise UserError(f"{path} does not run on its first evaluation example: {error}") from error
    tensors = given if isinstance(given, tuple | list) else (given,)
    if not all(isinstance(tensor, Tensor) for tensor in tensors):
        raise UserError(f"{path} gives something other than tensors.")
    names = ["logits"] if len(tensors) == 1 else [f"output_{i}" for i in range(len(tensors))]
    outputs = tuple(
        TensorSpec(name=name, dtype=_dtype(tensor, path), shape=tuple(tensor.shape))
        for name, tensor in zip(names, tensors, strict=True)
    )
    classes = outputs[0].shape[-1] if len(outputs) == 1 and len(outputs[0].shape) == 2 else 0
    if classes < 2 or split.labels.min() < 0 or split.labels.max() >= classes:
        raise UserError(
            f"{path}: a classifier's one output is [1, classes] and the labels are 0..classes-1; it gives "
            f"{[list(o.shape) for o in outputs]} and the labels are {split.labels.min()}..{split.labels.max()}."
        )
    return Signature(task="other", inputs=specs, outputs=outputs, preprocessing="none: the arrays are the inputs")
