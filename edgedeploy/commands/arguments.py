"""Devices, CPUs and conditions as several commands have them typed."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from edgedeploy.errors import EdgedeployError
from edgedeploy.limits import MAX_CACHE_MB, MAX_SECONDS
from edgedeploy.ranges import FiniteRange

devices_option = click.option(
    "--devices", "file", type=click.Path(path_type=Path), metavar="FILE",
    help="The inventory.  [default: $EDGEDEPLOY_DEVICES, ./devices.yaml or ~/.config/edgedeploy/devices.yaml]",
)  # fmt: skip

cache_limit = click.option(
    "--cache-limit-mb", type=click.IntRange(0, MAX_CACHE_MB), metavar="MB",
    help="What models and inputs may take on the device between runs.  [default: a quarter of its room, 4000 at most]",
)  # fmt: skip

_CONDITIONS = (
    click.option("--max-temperature-c", type=FiniteRange(-40, 150), help="Start no launch while a sensor is hotter."),
    click.option("--max-load", type=FiniteRange(0, 10_000), help="Start no launch while the 1-minute load is over it."),
    click.option(
        "--min-battery", type=FiniteRange(0, 100), metavar="PERCENT", help="Start no launch while the battery has less."
    ),
    click.option(
        "--gate-timeout-s", type=FiniteRange(0, MAX_SECONDS), help="How long a launch waits for that.  [default: 300]"
    ),
    click.option("--governor", help="Set this cpufreq governor, and put the old one back; needs root there."),
    click.option("--stay-awake", is_flag=True, help="Android: keep the screen on, and put that back."),
    click.option("--fixed-performance", is_flag=True, help="Android: clocks that can be held, put back afterwards."),
)


def conditions(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of what must hold before a launch, and of what is set for a run.

    The command is called with `gates` and `preparation`: by the fields of Gates and Preparation, None where nothing was said.
    """

    @functools.wraps(function)
    def called(
        *args: Any, max_temperature_c: float | None, max_load: float | None, min_battery: float | None,
        gate_timeout_s: float | None, governor: str | None, stay_awake: bool, fixed_performance: bool, **kwargs: Any,
    ) -> Any:  # fmt: skip
        gates = {
            "max_temperature_c": max_temperature_c, "max_load": max_load, "min_battery_percent": min_battery,
            "timeout_seconds": gate_timeout_s,
        }  # fmt: skip
        preparation = {
            "governor": governor, "stay_awake": stay_awake or None, "fixed_performance": fixed_performance or None,
        }  # fmt: skip
        return function(*args, gates=gates, preparation=preparation, **kwargs)

    for option in reversed(_CONDITIONS):
        called = option(called)
    return called


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
