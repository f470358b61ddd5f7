"""`edgedeploy app`: the Android app for a person: plans put into it, and the app removed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from edgedeploy.commands.arguments import device_names, devices_option
from edgedeploy.commands.measuring import Measuring, measuring


def _common(function: Callable[..., Any]) -> Callable[..., Any]:
    device = click.option(
        "--device", required=True, shell_complete=device_names, help="A phone: a name of devices.yaml, adb:SERIAL."
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
    return device(devices_option(as_json(function)))


@click.group()
def command() -> None:
    """Put plans into the Android app, to be run from its screen, and remove the app.

    The app is built in a checkout by scripts/build_apk; docs/android-app.md says what it is. To measure from here, with
    everything removed afterwards: edgedeploy bench --in-app.

    \b
    Examples:
      edgedeploy app push artifacts/film-minilm/sptq/onnx-cpu --device pixel7
      edgedeploy app remove --device pixel7
    """


@command.command("push")
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="BUNDLE...")
@_common
@measuring
def push(bundles: tuple[Path, ...], device: str, file: Path | None, as_json: bool, measuring: Measuring) -> None:
    """Put bundles into the app as plans, installing it where it is not; it stays.

    \b
    Examples:
      edgedeploy app push artifacts/film-minilm/sptq/onnx-cpu --device pixel7
      edgedeploy app push artifacts/*/identity/* --device adb:R5CT10XYZ --threads 4 --mode sustained
    """
    from device_runner import inventory
    from device_runner.app import pushing
    from device_runner.device_plan import for_device

    target = inventory.resolve(device, file)
    plan = for_device(
        measuring.plan(), target, threads=measuring.threads, affinity=measuring.affinity, gates={}, preparation={}
    )  # fmt: skip
    names = [pushing.push(target, path, plan) for path in bundles]
    if as_json:
        click.echo(json.dumps({"plans": names}))
    else:
        click.echo("\n".join(names))


@command.command("remove")
@_common
def remove(device: str, file: Path | None, as_json: bool) -> None:
    """Remove the app from a phone, with its plans and what they measured.

    \b
    Example:
      edgedeploy app remove --device pixel7
    """
    from device_runner import inventory
    from device_runner.app import pushing

    removed = pushing.remove(inventory.resolve(device, file))
    if as_json:
        click.echo(json.dumps({"removed": removed}))
    else:
        click.echo("removed" if removed else "it was not there")
