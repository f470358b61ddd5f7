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
    """Build, list and check what goes to a device: the native runner and the runtimes' libraries.

    \b
    Example:
      edgedeploy bundles build
    """


@command.command("build")
@click.option("--abi", help="One of `bundles list`: linux-aarch64, android-arm64, ...  [default: this machine's]")
@click.option(
    "--from",
    "given",
    multiple=True,
    metavar="ARCHIVE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Take ONNX Runtime or TensorFlow Lite from this .aar, .zip or .tgz of its maker.",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Where to.  [default: the cache]")
@click.option("--sanitize", is_flag=True, help="With sanitizers, for debugging; needs --out.")
@_json
def build(abi: str | None, given: tuple[Path, ...], out: Path | None, sanitize: bool, as_json: bool) -> None:
    """Build the runner for a device's ABI. Does nothing when it is there and up to date.

    Needs cmake and ninja, a C++ compiler (for Android none: one is fetched, or ANDROID_NDK_HOME names an NDK), and the network
    once, for the runtimes' pinned packages.

    \b
    Examples:
      edgedeploy bundles build
      edgedeploy bundles build --abi android-arm64
      edgedeploy bundles build --abi android-arm64 --from onnxruntime-android-1.32.0.aar
    """
    from device_runner import bundles
    from edgedeploy.terminal import clean_lines

    if sanitize and out is None:
        raise click.UsageError("--sanitize needs --out: such a runner is not for measuring")

    def say(text: str) -> None:
        click.echo(clean_lines(text), err=True)

    built = bundles.build(abi or bundles.host_abi(), out, sanitize=sanitize, archives_given=given, say=say)
    if as_json:
        click.echo(json.dumps({"abi": built.manifest.abi, "key": built.manifest.key, "path": str(built.root)}))
    else:
        click.echo(str(built.root))


@command.command("list")
@_json
def list_(as_json: bool) -> None:
    """List the ABIs there are runners for, where each library is from, and which runners are built.

    \b
    Example:
      edgedeploy bundles list
    """
    from device_runner import bundles
    from edgedeploy.terminal import table

    entries = [_entry(abi) for abi in bundles.known_abis()]
    if as_json:
        click.echo(json.dumps({"bundles": entries}, indent=1))
        return
    rows = []
    for entry in entries:
        state = entry["path"] or f"not built; edgedeploy bundles build --abi {entry['abi']}"
        if entry["built"] and not entry["current"]:
            state = f"out of date; edgedeploy bundles build --abi {entry['abi']}"
        for at, library in enumerate(entry["libraries"]):
            source = f"{library['registry']} {library['package']} {library['version']}"
            source += " (third party)" if library["repackaged"] else ""
            first = (entry["abi"], state) if at == 0 else ("", "")
            rows.append([first[0], f"{library['runtime']} {entry['runtimes'][library['runtime']]}", source, first[1]])
    table(["abi", "runtime", "from", "where"], rows)
    notes = {library["package"]: library["repackaged"] for entry in entries for library in entry["libraries"]}
    for package, note in notes.items():
        if note:
            click.echo(f"third party: {package}: {note}; a maker's own archive instead: edgedeploy bundles build --from")


def _entry(abi: str) -> dict[str, Any]:
    from device_runner import bundles

    found, pinned = bundles.find(abi), bundles.load_pins(abi).packages
    libraries = [
        {
            "runtime": package.runtime, "registry": package.registry, "package": package.package, "version": package.version,
            "archive": package.archive, "sha256": package.sha256, "licence": package.licence, "repackaged": package.repackaged,
        }
        for package in pinned
    ]  # fmt: skip
    return {
        "abi": abi, "built": found is not None, "path": str(found.root) if found else None,
        "current": found is not None and found.manifest.sources == bundles.sources_digest(abi),
        "runtimes": found.manifest.runtimes if found else {package.runtime: package.is_version for package in pinned},
        "offers": {name: offer.versions for name, offer in found.manifest.offers.items()} if found else None,
        "libraries": libraries,
    }  # fmt: skip


@command.command("show")
@click.argument("abi")
@_json
def show(abi: str, as_json: bool) -> None:
    """Show what the runtimes of a built runner can run, and every file of it with where it is from.

    A model that asks for more is refused before anything is pushed. With --json: all of it, each operator with its version.

    \b
    Examples:
      edgedeploy bundles show android-arm64
      edgedeploy bundles show linux-x86_64 --json
    """
    from device_runner import bundles
    from device_runner.offers import summary
    from edgedeploy.terminal import clean

    built = bundles.locate(abi)
    if as_json:
        click.echo(json.dumps({"path": str(built.root), **built.manifest.model_dump(mode="json")}, indent=1))
        return
    for runtime, version in built.manifest.runtimes.items():
        offer = built.manifest.offers.get(runtime)
        click.echo(clean(f"{runtime} {version}: {summary(offer) if offer else 'nobody could ask it what it can run'}", 500))
    for file in built.manifest.files:
        where = f"{file.package} {file.version}" + (" (third party)" if file.repackaged else "")
        click.echo(clean(f"{file.path}  {file.bytes / 1e6:.1f} MB  {where}  {file.licence}", 500))


@command.command("verify")
@click.option("--abi", help="Only this one.  [default: all that are built]")
@_json
def verify(abi: str | None, as_json: bool) -> None:
    """Check every file of the built runners: digest, machine, and whether they are of this edgedeploy. Exit code 2 when not.

    \b
    Examples:
      edgedeploy bundles verify
      edgedeploy bundles verify --abi android-arm64
    """
    from device_runner import bundles
    from edgedeploy.errors import UserError
    from edgedeploy.terminal import clean

    found = [bundles.locate(abi)] if abi else [each for name in bundles.known_abis() if (each := bundles.find(name))]
    if not found:
        raise UserError("no runner is built; build one with: edgedeploy bundles build")
    results = {bundle.manifest.abi: bundles.problems(bundle) for bundle in found}
    if as_json:
        click.echo(json.dumps({"bundles": [{"abi": name, "problems": wrong} for name, wrong in results.items()]}, indent=1))
    else:
        for name, wrong in results.items():
            click.echo(f"{name}: {'whole' if not wrong else '; '.join(clean(text) for text in wrong)}")
    if any(results.values()):
        raise SystemExit(2)
