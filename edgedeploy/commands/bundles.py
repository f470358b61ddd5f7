"""`edgedeploy bundles`: the native runner with the runtimes' libraries, per ABI: what a device is given."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def _json(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(function)


@click.group()
def command() -> None:
    """Build and list what goes to a device: the native runner and the runtimes' libraries.

    \b
    Example:
      edgedeploy bundles build
    """


@command.command("build")
@click.option("--abi", help="linux-x86_64 or linux-aarch64.  [default: this machine's]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Where to.  [default: the cache]")
@click.option("--sanitize", is_flag=True, help="With sanitizers, for debugging; needs --out.")
@_json
def build(abi: str | None, out: Path | None, sanitize: bool, as_json: bool) -> None:
    """Build the runner for a device's ABI. Does nothing when it is there and up to date.

    Needs a C++ compiler, cmake and ninja, and the network once, for the runtimes' pinned wheels.

    \b
    Examples:
      edgedeploy bundles build
      edgedeploy bundles build --abi linux-aarch64
    """
    from device_runner import bundles
    from edgedeploy.terminal import clean_lines

    if sanitize and out is None:
        raise click.UsageError("--sanitize needs --out: such a runner is not for measuring")

    def say(text: str) -> None:
        click.echo(clean_lines(text), err=True)

    built = bundles.build(abi or bundles.host_abi(), out, sanitize=sanitize, say=say)
    if as_json:
        click.echo(json.dumps({"abi": built.manifest.abi, "key": built.manifest.key, "path": str(built.root)}))
    else:
        click.echo(str(built.root))


@command.command("list")
@_json
def list_(as_json: bool) -> None:
    """List the ABIs there are runners for, and which of them are built.

    \b
    Example:
      edgedeploy bundles list
    """
    from device_runner import bundles
    from edgedeploy.terminal import table

    entries: list[dict[str, Any]] = []
    for abi in bundles.known_abis():
        found = bundles.find(abi)
        pinned = {package.runtime: package.version for package in bundles.load_pins(abi).packages}
        entries.append({"abi": abi, "built": found is not None, "path": str(found.root) if found else None, "runtimes": pinned})
    if as_json:
        click.echo(json.dumps({"bundles": entries}, indent=1))
        return
    rows = []
    for entry in entries:
        versions = ", ".join(f"{name} {version}" for name, version in entry["runtimes"].items())
        missing = f"not built; edgedeploy bundles build --abi {entry['abi']}"
        rows.append([entry["abi"], versions, entry["path"] or missing])
    table(["abi", "runtimes", "where"], rows)
