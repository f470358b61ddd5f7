"""An export that was asked for before, with nothing changed since, is answered from a note of it: no model is loaded.

The note says which bundles the same question led to, and what their files were like. The bundles are looked at before they are
called kept, and where a file is not as it was, every digest is checked again: the note saves working out, with torch and the
data, that they are what is asked for, and reading gigabytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgedeploy import bundle
from edgedeploy.errors import UserError
from exporter import ingredients, source_code, stamps
from exporter.fetch import cache_root
from exporter.options import Options
from exporter.outcome import Outcome, Refused
from exporter.python_code import Depends, inside
from exporter.runtimes.base import Runtime

VERSION = 5
NOT_NOTED = (
    "an export of Python code is worked out anew each time, unless nothing failed and reads=[...] in its Subject names the "
    "files and folders that it reads ([] for none)"
)


def key(
    subjects: Sequence[str], files: Mapping[str, Path | None], operators: Sequence[str], runtimes: Sequence[Runtime],
    out: Path, options: Options, *, weights: str | None = None, student: str | None = None,
) -> str | None:  # fmt: skip
    """What the note of this question is called: sha256 of all that its answer is known beforehand to depend on.

    subjects: as typed. files: what else is read, by role, a folder with all that is in it; contents count. None where not
    all of it is known: see `ingredients`.
    """
    try:
        found = [ingredients.of(name, weights, student) for name in subjects]
        made_of = [each for each in found if each is not None]
        if len(made_of) < len(found):
            return None
        data = [each for path in files.values() if path is not None for each in inside(path)]
        own = [path for each in made_of for path in each.files]
        packages = {package for runtime in runtimes for package in runtime.packages}
        packages.update(package for each in made_of for package in each.packages)
        content = {
            "version": VERSION,
            "subjects": list(subjects),
            "files": [[str(path), bundle.file_sha256(path)] for path in (*data, *own)],
            "weights": weights,
            "student": student,
            "operators": list(operators),
            "runtimes": [[runtime.name, runtime.backend] for runtime in runtimes],
            "out": str(out.resolve()),
            "options": asdict(options),
            "packages": [[package, importlib.metadata.version(package)] for package in sorted(packages)],
            "others": [each.others for each in made_of],
            "code": source_code.digest(),
        }
    except (OSError, UserError, subprocess.SubprocessError, importlib.metadata.PackageNotFoundError):
        return None
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _note(name: str) -> Path:
    return cache_root() / "exports" / f"{name}.json"


def remember(name: str, outcomes: Sequence[Outcome], depends: Depends) -> None:
    """Note what the question led to, unless something of it failed that need not have.

    depends: what it was found to depend on besides what its name says.
    A cache that cannot be written to is passed over.
    """
    if any(outcome.error is not None and not isinstance(outcome.error, Refused) for outcome in outcomes):
        return
    rows: list[dict[str, Any]] = [
        {
            "subject": outcome.subject, "operator": outcome.operator, "runtime": outcome.runtime, "backend": outcome.backend,
            "path": str(outcome.path), "digest": outcome.digest,
            "refused": None if outcome.error is None else str(outcome.error),
        }
        for outcome in outcomes
    ]  # fmt: skip
    with contextlib.suppress(OSError):
        for row in rows:
            row["stamps"] = None if row["refused"] is not None else stamps.as_sealed(Path(str(row["path"])))
        _write(name, {"depends": depends.document(), "rows": rows})


def _write(name: str, note: dict[str, Any]) -> None:
    """Raises OSError where the cache cannot be written to."""
    target = _note(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(note), "utf-8")
    partial.replace(target)


def depends_of_all(names: Iterable[str | None]) -> Depends | str:
    """What the answers of all these questions were found to depend on, as their notes say; a sentence where one has none."""
    total = Depends()
    for name in names:
        try:
            if name is None:
                raise LookupError
            total = total.and_also(Depends(**json.loads(_note(name).read_text("utf-8"))["depends"]))
        except (OSError, ValueError, LookupError, TypeError):
            return NOT_NOTED
    return total


def recall(name: str) -> list[Outcome] | None:
    """The answer, all of it kept or refused as before; None where there is none, or a bundle is gone, damaged or another."""
    anew = False
    try:
        note: dict[str, Any] = json.loads(_note(name).read_text("utf-8"))
        if not Depends(**note["depends"]).hold():
            return None
        outcomes = []
        for row in note["rows"]:
            path = Path(row["path"])
            names = (row["subject"], row["operator"], row["runtime"], row["backend"])
            if row["refused"] is not None:
                outcomes.append(Outcome(*names, path, "failed", error=Refused(row["refused"])))
                continue
            there = bundle.read(path)
            if there.digest != row["digest"]:
                return None
            found = stamps.checked(there, row["stamps"])
            anew = anew or found != row["stamps"]
            row["stamps"] = found
            outcomes.append(Outcome(*names, path, "kept", there.digest))
    except (OSError, ValueError, LookupError, TypeError, UserError):
        return None
    if anew:  # checked once more is enough
        with contextlib.suppress(OSError):
            _write(name, note)
    return outcomes
