"""A runner that was built: where it is and what is in it."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from device_runner.bundles.pins import pins_file
from device_runner.bundles.sources import sources_digest
from device_runner.cache import cache_root
from device_runner.offers import Offer
from edgedeploy.errors import UserError

MANIFEST = "bundle.json"
BUILD_COMMAND = "edgedeploy bundles build"


class BundleFile(BaseModel):
    """One file of the bundle and where it is from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    sha256: str
    bytes: int
    #: the archive and the path in it, or "built from device_runner/native"
    source: str
    package: str
    version: str
    licence: str
    #: the runtime it belongs to, "" for what is ours
    runtime: str = ""
    #: who made this of somebody else's library; None where its maker did
    repackaged: str | None = None

    def is_library_of(self, runtime: str) -> bool:
        return self.runtime == runtime and self.path.startswith("lib/")


class BundleManifest(BaseModel):
    """bundle.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[2] = 2
    abi: str
    #: of sources, pins and compiler: the same key, the same bundle
    key: str
    #: of the sources and pins alone: what can be looked at without a compiler
    sources: str
    compiler: str
    #: runtime -> version
    runtimes: dict[str, str]
    #: the program of the bundle that starts the runner, where it brings its own C library
    loader: str | None = None
    #: runtime -> what it can run; one of libraries that nobody could ask is not in it
    offers: dict[str, Offer] = {}
    files: tuple[BundleFile, ...]


@dataclass(frozen=True)
class RunnerBundle:
    """The directory that is pushed to a device: bin/, lib/, licenses/ and bundle.json."""

    root: Path
    manifest: BundleManifest

    def libraries(self, runtime: str) -> list[Path]:
        """Those of that runtime alone."""
        return [self.root / file.path for file in self.manifest.files if file.is_library_of(runtime)]

    @property
    def binary(self) -> Path:
        """The runner itself."""
        return self.root / "bin" / "edgebench"

    @property
    def lib_dir(self) -> Path:
        """Its libraries; it finds them there by itself."""
        return self.root / "lib"


def host_abi() -> str:
    """The ABI of this machine. Raises UserError where there is no runner for it."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if platform.system() != "Linux":
        raise UserError(
            f"the native runner is for Linux and Android, this is {platform.system()}; "
            "name a device's ABI (--abi linux-aarch64), or bench from a Linux host"
        )
    pins_file(f"linux-{machine}")
    return f"linux-{machine}"


def default_root(abi: str) -> Path:
    """Where the runner of `abi` is built to and looked for."""
    return cache_root() / "runner" / abi


def read_bundle(root: Path) -> RunnerBundle | None:
    """The bundle at `root`, None where there is none that is whole."""
    try:
        manifest = BundleManifest.model_validate_json((root / MANIFEST).read_bytes())
    except (OSError, ValidationError):
        return None
    for file in manifest.files:
        path = root / file.path
        if not path.is_file() or path.stat().st_size != file.bytes:
            return None
    return RunnerBundle(root, manifest)


def find(abi: str) -> RunnerBundle | None:
    """The built runner of `abi`, None where there is none. Raises UserError for an ABI that nobody knows."""
    pins_file(abi)
    return read_bundle(default_root(abi))


def locate(abi: str) -> RunnerBundle:
    """The built runner of `abi`. Raises UserError, naming the command that builds it, when it is missing or out of date."""
    found = find(abi)
    command = f"{BUILD_COMMAND} --abi {abi}"
    if found is None:
        raise UserError(f"the native runner for {abi} is not built; build it with: {command}")
    if found.manifest.sources != sources_digest(abi):
        raise UserError(f"the native runner for {abi} in {found.root} is not of this edgedeploy; build it anew with: {command}")
    return found
