"""A user's own subject, from a Python file of theirs: `my_model.py:attribute`."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from edgedeploy.errors import EdgedeployError, UserError
from exporter.subjects.base import Subject

P = ParamSpec("P")
T = TypeVar("T")


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
    except (Exception, SystemExit) as error:
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
        except (Exception, SystemExit) as error:
            raise UserError(f"{reference} failed when called: {type(error).__name__}: {error}") from error
    if not isinstance(found, Subject):
        raise UserError(
            f"{reference} is a {type(found).__name__}; it must be an exporter.subjects.base.Subject, or a function "
            "without arguments that returns one."
        )
    model, split = _theirs(found.model, path, "model"), _theirs(found.split, path, "split")
    return replace(found, model=model, split=split, reads=_reads(found, path))


def _reads(subject: Subject, source: Path) -> tuple[Path, ...] | None:
    """What the subject says it reads, from the folder of its file. Raises UserError where there is no such file or folder."""
    if subject.reads is None:
        return None
    named = [source.resolve().parent / each for each in subject.reads]
    for path in named:
        if not path.is_file() and not path.is_dir():
            raise UserError(
                f"{source}: its subject reads {path}, which is no file and no folder; reads has paths from the folder that "
                f"{source.name} is in"
            )
    return tuple(path.resolve() for path in named)


def _theirs(call: Callable[P, T], path: Path, what: str) -> Callable[P, T]:
    """The user's function; what it raises is said with the line of their file, not as a bug of ours."""

    @wraps(call)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return call(*args, **kwargs)
        except EdgedeployError:
            raise
        except (Exception, SystemExit) as error:
            lines = [
                frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path.resolve()
            ]
            where = f"{path}, line {lines[-1]}" if lines else str(path)
            raise UserError(f"{where}: the subject's {what} raised {type(error).__name__}: {error}") from error

    return called
