"""What became of one combination of subject, operator and runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgedeploy.errors import EdgedeployError, UserError


class Refused(UserError):
    """It cannot be, which follows from the question alone: the same question has the same answer the next time."""


@dataclass(frozen=True)
class Outcome:
    """state: "written", "kept" or "failed"."""

    subject: str
    operator: str
    runtime: str
    backend: str
    path: Path
    state: str
    digest: str | None = None
    error: EdgedeployError | None = None
