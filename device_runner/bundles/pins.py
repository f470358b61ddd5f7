"""Which packages the libraries of an ABI come from: one JSON file per ABI beside this one, digests included."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edgedeploy.errors import InternalError, UserError

_HERE = Path(__file__).parent


class Package(BaseModel):
    """One wheel and what is taken from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    package: str
    version: str
    #: the runtime it is, as a plan names it
    runtime: str
    #: SPDX
    licence: str
    wheel: str
    sha256: str
    #: the platform tag of the wheel, for pip
    platform: str
    #: path in the wheel -> path in the bundle
    files: dict[str, str]
    #: a directory in the wheel that the build includes; not in the bundle
    headers: str | None = None


class Pins(BaseModel):
    """The packages of one ABI."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1]
    abi: str
    machine: str
    #: the Python the wheels are for; nothing of it is used
    python: str
    packages: tuple[Package, ...]


def known_abis() -> list[str]:
    """The ABIs there are pins for."""
    return sorted(path.stem for path in _HERE.glob("*.json"))


def pins_file(abi: str) -> Path:
    """The data file of `abi`. Raises UserError naming the known ones."""
    known = known_abis()
    if abi not in known:
        raise UserError(f"there is no runner for {abi!r}; choose one of {', '.join(known)}")
    return _HERE / f"{abi}.json"


def load_pins(abi: str) -> Pins:
    """The pins of `abi`. Raises UserError for an unknown one."""
    path = pins_file(abi)
    try:
        return Pins.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InternalError(f"{path.name}: {error}") from error
