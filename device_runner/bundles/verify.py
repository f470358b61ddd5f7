"""Whether a built bundle still is what was built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_runner.bundles import elf, fetch
from device_runner.bundles.located import MANIFEST
from device_runner.bundles.pins import load_pins
from device_runner.bundles.sources import sources_digest
from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from device_runner.bundles.located import RunnerBundle


def problems(bundle: RunnerBundle) -> list[str]:
    """What is wrong with it, a sentence each: every file by its digest, every program by its machine, and its age."""
    found = []
    manifest, machine = bundle.manifest, load_pins(bundle.manifest.abi).machine
    for file in manifest.files:
        path = bundle.root / file.path
        if not path.is_file() or fetch.file_digest(path) != file.sha256:
            found.append(f"{file.path} is not what was built")
        elif file.path.startswith("bin/") or file.path.endswith(".so"):
            try:
                there = elf.read(path).machine
            except UserError as error:
                found.append(str(error))
            else:
                found += [] if there == machine else [f"{file.path} is for {there}"]
    listed = {file.path for file in manifest.files} | {MANIFEST}
    there_are = {path.relative_to(bundle.root).as_posix() for path in bundle.root.rglob("*") if path.is_file()}
    found += [f"{extra} does not belong there" for extra in sorted(there_are - listed)]
    if manifest.sources != sources_digest(manifest.abi):
        found.append("it is not of this edgedeploy's sources")
    return found
