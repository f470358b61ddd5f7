"""Which packages the libraries of an ABI come from: one JSON file per ABI beside this one, digests included."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edgedeploy.errors import InternalError, UserError

_HERE = Path(__file__).parent
#: texts of licences that a package passes over in silence
LICENCES = _HERE / "licences"


class Package(BaseModel):
    """One archive of a package registry and what is taken from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    package: str
    version: str
    #: "file": what a user gave instead
    registry: Literal["pypi", "npm", "debian", "file"]
    #: the runtime it is, as a plan names it; "" for a tool of the build
    runtime: str = ""
    #: what the library is a version of, where the package has a count of its own
    runtime_version: str | None = None
    #: SPDX, of the library
    licence: str
    #: who made this of somebody else's library; None where the package is its maker's own
    repackaged: str | None = None
    #: the file's name
    archive: str
    sha256: str
    #: the platform tag of a wheel, for pip
    platform: str | None = None
    #: the directory of Debian's pool that it is in
    pool: str | None = None
    #: path in the archive -> path in the bundle
    files: dict[str, str] = {}
    #: file of LICENCES -> path in the bundle
    licence_texts: dict[str, str] = {}
    #: directory in the archive -> directory that the build includes it as; not in the bundle
    headers: dict[str, str] = {}

    @property
    def is_version(self) -> str:
        """The version of the runtime."""
        return self.runtime_version or self.version


class Pins(BaseModel):
    """The packages of one ABI."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[2]
    abi: str
    machine: str
    packages: tuple[Package, ...] = ()
    #: the ABI whose packages these are, instead of own ones
    packages_of: str | None = None

    @property
    def portable(self) -> bool:
        """Whether the bundle brings its own C library."""
        return self.abi.endswith("-portable")

    @property
    def android(self) -> bool:
        return self.abi.startswith("android-")


def known_abis() -> list[str]:
    """The ABIs there are pins for."""
    return sorted(path.stem for path in _HERE.glob("*-*.json"))


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
        pins = Pins.model_validate_json(path.read_bytes())
        return pins.model_copy(update={"packages": load_pins(pins.packages_of).packages}) if pins.packages_of else pins
    except ValidationError as error:
        raise InternalError(f"{path.name}: {error}") from error


def load_tool(name: str, machine: str) -> Package:
    """The build tool `name` for a host of that machine. Raises UserError where there is none."""
    path = _HERE / f"{name}.json"

    class Tool(BaseModel):
        model_config = ConfigDict(extra="forbid")
        schema_version: Literal[2]
        machines: dict[str, Package]

    found = Tool.model_validate_json(path.read_bytes()).machines
    if machine not in found:
        raise UserError(f"there is no {name} for a host of {machine}; build on one of {', '.join(sorted(found))}")
    return found[machine]
