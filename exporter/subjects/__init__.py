"""The subjects: the built-in ones by name, the model zoos', the study's, and a user's own."""

from __future__ import annotations

import importlib
from pathlib import Path

from edgedeploy.errors import UserError
from exporter import given
from exporter.subjects.base import Subject
from exporter.subjects.zoo.reference import FORM, is_reference
from exporter.subjects.zoo.study import PAIRS

#: name -> module with a SUBJECT, imported only when asked for
_BUILT_IN = {
    "fashion-lite0": "exporter.subjects.fashion_lite0",
    "fashion-lite2": "exporter.subjects.fashion_lite2",
    "film-minilm": "exporter.subjects.film_minilm",
    "news-minilm": "exporter.subjects.news_minilm",
}


def names() -> tuple[str, ...]:
    """The built-in subjects."""
    return tuple(_BUILT_IN)


def study_names() -> tuple[str, ...]:
    """The study's own four, which are too large to ship: from a hub, or with random weights for their latency."""
    return tuple(PAIRS)


def is_zoo(name: str) -> bool:
    """Whether the name stands for a model of a zoo, the study's among them."""
    return name in PAIRS or is_reference(name)


def module_of(name: str) -> str:
    """The module of a built-in subject, by its import name."""
    return _BUILT_IN[name]


def load(name: str, data: Path | None = None, *, weights: str | None = None, student: str | None = None) -> Subject:
    """The subject called `name`.

    A built-in name; one of the study's; a model of a zoo (`timm:resnet18`, see `zoo.reference`), which alone with the
    study's takes `weights` ("pretrained", "random" or a safetensors file) and `student`; `my_model.py:attribute`; or
    `model.pt2`, or a model file as given (`model.onnx`, `.tflite`, `.pte`, `.keras`, a SavedModel's
    folder), with its `data` (.npz).

    Raises UserError where there is no such subject, or the user's file does not give one.
    """
    if is_zoo(name):
        from exporter.subjects.zoo.load import load_zoo

        pair = PAIRS.get(name)
        if pair is None:
            return load_zoo(name, data, weights=weights, student=student)
        return load_zoo(pair.model, data, weights=weights, student=student or pair.student, called=name)
    if weights is not None or student is not None:
        option = "--weights" if weights is not None else "--student"
        raise UserError(f"{option} is for models of the zoos and the study's; {name} brings its own.")
    if name in _BUILT_IN:
        if data is not None:
            raise UserError(f"{name} brings its own data; --data is for a model file or a model of a zoo.")
        subject: Subject = importlib.import_module(_BUILT_IN[name]).SUBJECT
        return subject
    if name.endswith(".pt2"):
        from exporter.subjects.program import load_program

        return load_program(Path(name), data)
    if given.runtime_of(name) is not None:
        from exporter.given.load import load_given

        return load_given(Path(name), data)
    if ".py:" in name:
        from exporter.subjects.custom import load_custom

        if data is not None:
            raise UserError("a subject from a Python file brings its own data; --data is for a model file.")
        return load_custom(name)
    raise UserError(
        f"there is no subject {name!r}. Built in: {', '.join(_BUILT_IN)}. The study's: {', '.join(PAIRS)}. A zoo's: {FORM}. "
        "Your own: my_model.py:attribute; a .pt2, .onnx, .tflite, .pte or .keras file or a SavedModel with --data."
    )
