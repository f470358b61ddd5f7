"""What one runtime can run, and where it is known from.

A library that is pinned was asked once (scripts/write_offers), wherever it runs here, and its answers are kept in known/ by
its digest: so they are there too for a machine that this host is not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

KNOWN = Path(__file__).with_name("known")


class Offer(BaseModel):
    """kind -> name -> the newest version, in the words of device_runner/needs; what is not in it is not there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    versions: dict[str, dict[str, int]]


class KnownFile(BaseModel):
    """A file of known/: one version of one runtime, and the libraries that answered alike."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    runtime: str
    version: str
    #: `key_of` its libraries -> the bundle that they are in
    libraries: dict[str, str]
    offer: Offer


def key_of(digests: Iterable[str]) -> str:
    """What a runtime's libraries are known by, from the sha256 of each."""
    return hashlib.sha256("".join(f"{digest}\n" for digest in sorted(digests)).encode()).hexdigest()


def known(key: str) -> Offer | None:
    """What the libraries of that key answered; None for others."""
    return _known().get(key)


@cache
def _known() -> dict[str, Offer]:
    files = [KnownFile.model_validate_json(path.read_bytes()) for path in sorted(KNOWN.glob("*.json"))]
    return {key: file.offer for file in files for key in file.libraries}
