"""Devices and CPUs as several commands have them typed."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from edgedeploy.errors import EdgedeployError

devices_option = click.option(
    "--devices", "file", type=click.Path(path_type=Path), metavar="FILE",
    help="The inventory.  [default: $EDGEDEPLOY_DEVICES, ./devices.yaml or ~/.config/edgedeploy/devices.yaml]",
)  # fmt: skip


def cpus(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """A list of CPU numbers: 0,1."""
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter("give CPU numbers with commas: 0,1") from None


def device_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """For the shell's completion: the names in devices.yaml. Phones are not asked for: a shell does not wait."""
    from device_runner import inventory

    # a file that is wrong is said by the command, not between two keystrokes
    with contextlib.suppress(EdgedeployError, OSError):
        return [name for name in inventory.listed(context.params.get("file")) if name.startswith(incomplete)]
    return []
