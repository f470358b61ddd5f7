"""The subjects: the built-in ones by name, and a user's own."""

from __future__ import annotations

import importlib
from pathlib import Path

from edgedeploy.errors import UserError
from exporter.subjects.base import Subject

#: name -> module with a SUBJECT, imported only when asked for
_BUILT_IN = {
    "fashion-lite0": "exporter.subjects.fashion_lite0",
    "film-minilm": "exporter.subjects.film_minilm",
}


def names() -> tuple[str, ...]:
    """The built-in subjects."""
    return tuple(_BUILT_IN)


def module_of(name: str) -> str:
    """The module of a built-in subject, by its import name."""
    return _BUILT_IN[name]


def load(name: str, data: Path | None = None) -> Subject:
    """The subject called `name`: a built-in name, `my_model.py:attribute`, or `model.pt2` with its `data` (.npz).

    Raises UserError where there is no such subject, or the user's file does not give one.
    """
    if name in _BUILT_IN:
        if data is not None:
            raise UserError(f"{name} brings its own data; --data is for a .pt2 program.")
        subject: Subject = importlib.import_module(_BUILT_IN[name]).SUBJECT
        return subject
    if name.endswith(".pt2"):
        from exporter.subjects.program import load_program

        return load_program(Path(name), data)
    if ".py:" in name:
        from exporter.subjects.custom import load_custom

        if data is not None:
            raise UserError("a subject from a Python file brings its own data; --data is for a .pt2 program.")
        return load_custom(name)
    raise UserError(
        f"there is no subject {name!r}. Built in: {', '.join(_BUILT_IN)}. Your own: my_model.py:attribute, "
        "or model.pt2 with --data."
    )
