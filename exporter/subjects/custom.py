"""A user's own subject, from a Python file of theirs: `my_model.py:attribute`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from edgedeploy.errors import UserError
from exporter.subjects.base import Subject


def load_custom(reference: str) -> Subject:
    """The Subject that `path.py:attribute` is, or that it returns when called without arguments.

    The file is the user's own program and runs as such. Raises UserError, in a sentence, where it cannot be
    imported, has no such attribute, or that is no Subject.
    """
    file, _, attribute = reference.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise UserError(f"there is no file {file}; a subject of your own is given as my_model.py:attribute.")
    name = f"edgedeploy_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise UserError(f"{file} is no Python file; a subject of your own is given as my_model.py:attribute.")
    module = importlib.util.module_from_spec(spec)
    # dataclasses and pickling look a class's module up here
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UserError(f"{file} could not be imported: {type(error).__name__}: {error}") from error
    found = getattr(module, attribute, None)
    if found is None:
        raise UserError(f"{file} has no {attribute!r}.")
    if not isinstance(found, Subject) and callable(found):
        try:
            found = found()
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{reference} failed when called: {type(error).__name__}: {error}") from error
    if not isinstance(found, Subject):
        raise UserError(
            f"{reference} is a {type(found).__name__}; it must be an exporter.subjects.base.Subject, or a function "
            "without arguments that returns one."
        )
    return found
