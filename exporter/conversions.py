"""Float models as runtimes have them, and what they say of a set, kept on disk by what they are of: what was worked out for one
operator, the next one takes.

A conversion is known by the model's content (its graph and every tensor in it), its signature, the runtime, and the versions
of all that makes it, this source included. It is taken only as its digest says; a damaged one is made anew. The least
recently used go first when they hold more than $EDGEDEPLOY_CONVERSIONS_GB (default 2; 0 keeps none) together.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import math
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgedeploy.errors import UserError
from exporter import source_code, traced
from exporter.fetch import cache_root, sha256_of
from exporter.runtimes.base import Runtime, Work

LIMIT_VARIABLE = "EDGEDEPLOY_CONVERSIONS_GB"
_DEFAULT_GB = 2.0
_VERSION = 1


def limit_bytes() -> int:
    """How much may be kept. Raises UserError where the variable is no number."""
    named = os.environ.get(LIMIT_VARIABLE)
    try:
        given = float(named) if named else _DEFAULT_GB
    except ValueError:
        given = math.nan
    if not 0 <= given < math.inf:
        raise UserError(f"{LIMIT_VARIABLE} is {named!r}; give gigabytes, 0 to keep no conversions")
    return int(given * 1e9)


def converted(runtime: Runtime, work: Work, destination: Path, make: Callable[[], Any]) -> Any:
    """The float model of `work` at `destination`: as kept, or as `make` writes it there. Returns what `make` does, as JSON
    can hold it (a coverage, or None)."""
    from exporter.runtimes.lowering import torch_example

    def what() -> dict[str, Any] | None:
        model = traced.digest(work.model, torch_example(work))
        ends = (work.signature.inputs, work.signature.outputs)
        said = {
            "signature": [[spec.model_dump(mode="json") for spec in specs] for specs in ends],
            "runtime": [runtime.name, runtime.backend],
            "packages": [[package, importlib.metadata.version(package)] for package in runtime.packages],
        }
        return None if model is None else {"model": model, **said}

    return kept(what, destination, make)


def kept(what: Callable[[], dict[str, Any] | None], destination: Path, make: Callable[[], Any]) -> Any:
    """The file that is made of `what` at `destination`, as kept or as `make` writes it; returns what `make` does.

    what: all that it depends on besides Python, torch and this source; None where not all of it is known. Called only where
    something is kept at all.
    """
    limit = limit_bytes()
    made_of = what() if limit else None
    if made_of is None:
        return make()
    name = _name(made_of)
    found, told = _recall(name, destination)
    if found:
        return told
    told = make()
    _keep(name, destination, told, limit)
    return told


def _folder() -> Path:
    return cache_root() / "conversions"


def _name(made_of: dict[str, Any]) -> str:
    content = {
        **made_of,
        "version": _VERSION,
        "by": [platform.python_version(), platform.machine(), importlib.metadata.version("torch"), source_code.digest()],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _recall(name: str, destination: Path) -> tuple[bool, Any]:
    """Whether the conversion is there and whole, copied to `destination` then, and what was told of it."""
    there, note = _folder() / f"{name}.model", _folder() / f"{name}.json"
    try:
        said = json.loads(note.read_text("utf-8"))
        shutil.copyfile(there, destination)
        # the copy's: what was looked at is what is used
        if sha256_of(destination) == said["sha256"]:
            os.utime(note)
            return True, said["told"]
    except (OSError, ValueError, LookupError, TypeError):
        pass
    destination.unlink(missing_ok=True)
    for each in (note, there):
        with contextlib.suppress(OSError):
            each.unlink()
    return False, None


def _keep(name: str, made: Path, told: Any, limit: int) -> None:
    """Keep a conversion, and make room for it. A cache that cannot be written to is passed over."""
    size = made.stat().st_size
    if size > limit:
        return
    with contextlib.suppress(OSError):
        _folder().mkdir(parents=True, exist_ok=True)
        _make_room(limit - size)
        target, note = _folder() / f"{name}.model", _folder() / f"{name}.json"
        partial = target.with_name(f"{name}.{os.getpid()}.partial")
        try:
            shutil.copyfile(made, partial)
            said = {"sha256": sha256_of(partial), "told": told}
            partial.replace(target)
            # last: without it the file is not there
            partial.write_text(json.dumps(said), "utf-8")
            partial.replace(note)
        finally:
            partial.unlink(missing_ok=True)


def _make_room(limit: int) -> None:
    """Remove the least recently used, and what nobody finished, until the rest holds no more than `limit` bytes."""
    whole = []
    for model in _folder().glob("*.model"):
        note = model.with_suffix(".json")
        with contextlib.suppress(OSError):
            whole.append((note.stat().st_mtime_ns if note.exists() else 0, model.stat().st_size, model, note))
    total = sum(size for _, size, _, _ in whole)
    for _, size, model, note in sorted(whole):
        if total <= limit:
            return
        for each in (note, model):
            with contextlib.suppress(OSError):
                each.unlink()
        total -= size
