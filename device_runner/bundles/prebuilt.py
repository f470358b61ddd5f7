"""Our own programs as a wheel of edgedeploy carries them (scripts/build_wheel), for machines without a compiler."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from device_runner.bundles.located import RunnerBundle
from device_runner.bundles.sources import sources_digest

ROOT = Path(__file__).resolve().parent.parent / "prebuilt"
_MANIFEST = "prebuilt.json"
_OURS = ("bin/edgebench", "lib/libedgebench_executorch.so", "lib/libfbjni.so")


class Prebuilt(BaseModel):
    """prebuilt.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    #: what they were built from; programs of other sources are as good as none
    sources: str
    compiler: str


def find(abi: str) -> tuple[Path, Prebuilt] | None:
    """The programs of `abi` and what they are; None where there are none of these very sources, or an NDK is to be used."""
    if abi.startswith("android-") and os.environ.get("ANDROID_NDK_HOME"):
        return None
    directory = ROOT / abi
    try:
        manifest = Prebuilt.model_validate_json((directory / _MANIFEST).read_bytes())
    except (OSError, ValidationError):
        return None
    return (directory, manifest) if manifest.sources == sources_digest(abi) else None


def put(directory: Path, made: Path) -> None:
    """Copy the programs of `find` into a bundle."""
    for path in _OURS:
        if (directory / path).is_file():
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(directory / path, made / path)


def keep(bundle: RunnerBundle, root: Path) -> None:
    """Keep the programs of a built bundle below `root`, for `find`."""
    directory = root / bundle.manifest.abi
    put(bundle.root, directory)
    manifest = Prebuilt(sources=bundle.manifest.sources, compiler=bundle.manifest.compiler)
    (directory / _MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", "utf-8")
