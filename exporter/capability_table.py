"""What can be done, of every kind of model: the answers of `capabilities.refusal`, which is what an export asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np

from edgedeploy.errors import UserError
from edgedeploy.signature import Signature, TensorSpec
from exporter import capabilities, operators, runtimes
from exporter.given import RUNTIMES
from exporter.given.file import GivenFile
from exporter.subjects.base import Progress, Split, SplitName, Subject, Weights

Family = Literal["convolutional", "transformer"]
FAMILIES: tuple[Family, ...] = ("convolutional", "transformer")
_INPUT = TensorSpec(name="input", dtype="float32", shape=(1, 4))
_OUTPUT = TensorSpec(name="logits", dtype="float32", shape=(1, 2))


@dataclass(frozen=True)
class Row:
    """One answer. why: None where it can be done."""

    model: str
    family: str
    runtime: str
    backend: str
    operator: str
    why: str | None


class _Student:
    def distilled(self, teacher: object, *, retrain: bool, progress: Progress | None) -> NoReturn:
        raise UserError("a stand-in is not distilled")


def rows() -> Iterator[Row]:
    """Every kind of model x runtime x operator; nothing is loaded for it."""
    drafts = [operators.parse(name) for name in (*operators.NAMES, *operators.ALIASES)]
    for kind, family, subject in _kinds():
        for name in runtimes.names():
            for backend in runtimes.backends(name):
                runtime = runtimes.described(name, backend)
                for draft, steps in drafts:
                    why = capabilities.refusal(draft, steps, subject, runtime)
                    yield Row(kind, family, name, backend, draft.asked, why)


def _kinds() -> Iterator[tuple[str, str, Subject]]:
    """Stand-ins with what refusals look at: a family, a student, labelled sets, the form of a file."""
    for family in FAMILIES:
        yield "torch", family, _subject("torch-model", family, student=True)
        yield ".pt2", family, _subject("pt2", family)
        for form, runtime in RUNTIMES.items():
            file = GivenFile(
                path=Path(f"model{form}"), form=form, runtime=runtime, inputs=(_INPUT,), outputs=(_OUTPUT,),
                own_inputs=("input",), own_outputs=("logits",), parameters=0, macs=0, family=family,
            )  # fmt: skip
            yield form, family, _subject(form.lstrip("."), family, given=file)


def _subject(name: str, family: Family, *, student: bool = False, given: GivenFile | None = None) -> Subject:
    def split(name: SplitName) -> Split:
        return Split.from_arrays({"input": np.zeros((1, 4), np.float32)}, [0])

    def model(retrain: bool, progress: Progress | None) -> Weights:
        raise UserError("a stand-in has no model")

    signature = Signature(task="other", inputs=(_INPUT,), outputs=(_OUTPUT,))
    return Subject(name, signature, model, split, _Student() if student else None, family, given=given)
