"""How to measure, as `bench` has it typed: the mode, and what is said of its numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from edgedeploy.commands.arguments import cpus
from edgedeploy.limits import MAX_MEMORY_MB, MAX_PHASE_MS, MAX_SECONDS, MAX_STREAMS, MAX_THREADS
from edgedeploy.ranges import Duration, FiniteRange, Percent

if TYPE_CHECKING:
    from edgedeploy.record import Plan

#: files of device_runner/plans
_MODES = ("quick", "standard", "mlperf", "sustained", "throughput")

_OPTIONS = (
    click.option(
        "--mode",
        type=click.Choice(_MODES),
        help="How to measure, see below.  [default: standard]",
    ),
    click.option("--quick", is_flag=True, help="--mode quick: 3 short launches, to see that it works, not to compare."),
    click.option("--launches", type=click.IntRange(1, 1000), help="Launches of each artifact.  [default: 5, or the mode's]"),
    click.option(
        "--until",
        type=Percent(0.05, 50),
        metavar="1%",
        help="Add launches until the median is known to this much either way, --launches at most (500).",
    ),
    click.option(
        "--budget",
        "budget_sec",
        type=Duration(1, MAX_SECONDS),
        metavar="10m",
        help="With --until: begin no more launches after so much time on the device.",
    ),
    click.option(
        "--streams", type=click.IntRange(1, MAX_STREAMS), help="Of --mode throughput: sessions side by side.  [default: 2]"
    ),
    click.option(
        "--in-turns",
        is_flag=True,
        default=None,
        help="The artifacts side by side, in turns of a few ms: for a device whose speed is not steady (docs/in-turns.md).",
    ),
    click.option("--threads", type=click.IntRange(1, MAX_THREADS), help="Threads of the runtime.  [default: 1]"),
    click.option("--affinity", callback=cpus, metavar="0,1", help="CPUs to pin to.  [default: none]"),
    click.option(
        "--warmup-count", type=click.IntRange(0, 100_000), help="Least warm-up inferences.  [default: 5 or the mode's]"
    ),
    click.option("--warmup-ms", type=FiniteRange(0, MAX_PHASE_MS), help="Least warm-up time.  [default: 200, or the mode's]"),
    click.option(
        "--min-count", type=click.IntRange(1, 1_000_000), help="Least timed inferences.  [default: 100 or the mode's]"
    ),
    click.option("--min-ms", type=FiniteRange(0, MAX_PHASE_MS), help="Least timed time.  [default: 1000, or the mode's]"),
    click.option(
        "--max-seconds",
        type=FiniteRange(1, MAX_SECONDS),
        help="Longest a launch may take.  [default: 120, or a minute over twice its phases]",
    ),
    click.option("--max-memory-mb", type=click.IntRange(16, MAX_MEMORY_MB), help="Memory a launch may use.  [default: 4096]"),
)
_NUMBERS = (
    "launches", "until", "budget_sec", "streams", "in_turns", "warmup_count", "warmup_ms", "min_count", "min_ms", "max_seconds",
    "max_memory_mb",
)  # fmt: skip


@dataclass(frozen=True)
class Measuring:
    """What was said; None where nothing was. `numbers` holds only what was said."""

    mode: str
    threads: int | None
    affinity: tuple[int, ...] | None
    numbers: dict[str, Any]

    def plan(self) -> Plan:
        """The plan of the mode with what was said. Raises UserError for what does not go together."""
        from device_runner.plans.asked import planned

        return planned(self.mode, self.numbers)


def measuring(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of how to measure. The command is called with `measuring`."""

    @functools.wraps(function)
    def called(
        *args: Any, mode: str | None, quick: bool, threads: int | None, affinity: tuple[int, ...] | None, **kwargs: Any
    ) -> Any:
        numbers = {name: value for name in _NUMBERS if (value := kwargs.pop(name)) is not None}
        if quick and mode not in (None, "quick"):
            raise click.UsageError("give --quick or --mode, not both")
        said = Measuring("quick" if quick else mode or "standard", threads, affinity, numbers)
        return function(*args, measuring=said, **kwargs)

    for option in reversed(_OPTIONS):
        called = option(called)
    return called
