"""The runs of an experiment as a table: boxes and colour on a terminal, plain columns in a pipe."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from device_runner.device_isa import target_of
from device_runner.plans import words
from device_runner.results import profile_table
from device_runner.results.statistics import CONFIDENCE, MIN_LAUNCHES
from device_runner.results.summary import IDENTITY
from edgedeploy.artifact import Accuracy
from edgedeploy.record import Interval, Plan, RunRecord
from edgedeploy.terminal import clean, size
from edgedeploy.terminal import table as plain_table

if TYPE_CHECKING:
    from device_runner.results.summary import Row

_HEADINGS = (
    "artifact", "runtime", "precision", "file", "accuracy", "cold start ms", "load ms", "first ms", "median ms", "p90 ms",
    "vs identity",
)  # fmt: skip
NOTHING = "–"


def cells(row: Row) -> list[str]:
    """One row, by the headings; text from outside is made plain."""
    record, artifact = row.record, row.record.artifact
    name = artifact.subject if artifact.kind == "as-given" else f"{artifact.subject} {artifact.operator}"
    shown = _accuracy(artifact.accuracy) if artifact.accuracy else NOTHING
    median = _ms(record.median_ms, bounds=True) if record.valid else "not valid"
    times = [_ms(record.cold_start_ms), _ms(record.load_ms), _ms(record.first_ms), median, _ms(record.p90_ms)]
    last = NOTHING if row.speedup is None else f"{row.speedup.estimate:.2f}x{bounds_of(row.speedup, 2)}"
    given = [name, f"{artifact.runtime}-{artifact.backend}", artifact.precision, size(artifact.model_bytes), shown]
    return [clean(cell) for cell in [*given, *times, last]]


def _accuracy(accuracy: Accuracy) -> str:
    return f"{100 * accuracy.value:.1f} % [{100 * accuracy.low:.1f}, {100 * accuracy.high:.1f}]"


def _digits(value: float) -> int:
    """Decimals that leave three significant digits, so that 2 µs and 120 ms both say something."""
    return min(6, max(0, 2 - math.floor(math.log10(value)))) if value > 0 else 0


def _ms(interval: Interval | None, *, bounds: bool = False) -> str:
    if interval is None:
        return NOTHING
    digits = _digits(interval.estimate)
    return f"{interval.estimate:.{digits}f}{bounds_of(interval, digits) if bounds else ''}"


def bounds_of(interval: Interval, digits: int) -> str:
    """[low, high], with a blank before it; "" where there is no interval."""
    if interval.low is None or interval.high is None:
        return ""
    return f" [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def footer(rows: Sequence[Row]) -> list[str]:
    """Under the table: how it was measured, what is not valid, and the warnings."""
    if not rows:
        return []
    lines = [_how(rows[0].record)]
    for row in rows:
        name = row.record.artifact.label
        if row.record.device_accuracy:
            lines.append(
                f"{name}: on the device {_accuracy(row.record.device_accuracy)} of {row.record.device_accuracy.n} samples"
            )
        lines += [
            f"{name}: {line}" for line in [*_made_of(row.record), *words.said(row.record), *profile_table.sentences(row.record)]
        ]
        lines += [f"not valid: {name}: {reason}" for reason in row.record.invalid_because]
        lines += [f"warning: {name}: {warning}" for warning in row.warnings]
    return [clean(line) for line in lines]


def _made_of(record: RunRecord) -> list[str]:
    """What an inference over two devices spends where."""
    parts = {"near": record.near_ms, "far": record.far_ms, "link": record.link_ms}
    told = [f"{name} {value.estimate:.3g} ms" for name, value in parts.items() if value is not None]
    return [f"of the median: {', '.join(told)} (the link: round trip less far)"] if told else []


def _how(record: RunRecord) -> str:
    device, plan = record.devices[0], record.plan
    cpu = device.facts.get("cpu")
    model = cpu.get("model", "unknown CPU") if isinstance(cpu, dict) else "unknown CPU"
    pinned = f" on CPUs {','.join(map(str, plan.affinity))}" if plan.affinity else ""
    bounds = f"[{100 * CONFIDENCE:.0f} % t interval over launches]"
    if plan.launches < MIN_LAUNCHES:
        bounds = f"no intervals from under {MIN_LAUNCHES} launches"
    asked = f"{plan.launches} launches" if plan.until is None else f"launches until ±{100 * plan.until:g} %"
    if plan.mode != "standard":
        asked = f"mode {plan.mode}, {asked}"
    if plan.streams > 1:
        asked += f", {plan.streams} streams"
    if plan.turn_ms is not None:
        asked += f" in turns of {plan.turn_ms} ms"
    return (
        f"{asked}, {plan.threads} thread{'s' if plan.threads > 1 else ''}{pinned}{_held(plan)}, "
        f"device {device.name} ({model}, {target_of(device.facts) or 'unknown ISA'}){_beyond(record)}; "
        f"load: file in the page cache; cold start: file not in it, with the first inference; {bounds}"
    )


def _beyond(record: RunRecord) -> str:
    """The far device and the way there, "" of one device."""
    if record.split is None:
        return ""
    far = record.devices[1]
    ran = "the whole model" if record.split == 0 else f"the stages after the first {record.split}"
    way = f", {record.path.kind}" + (f", shaped: {record.path.shaped}" if record.path.shaped else "") if record.path else ""
    return f"; {ran} on {far.name} ({far.tier}){way}"


def _held(plan: Plan) -> str:
    """What the device was set to and waited for, "" when nothing was asked."""
    gates, preparation = plan.gates, plan.preparation
    words = [
        preparation.governor and f"governor {preparation.governor}",
        preparation.stay_awake and "screen kept on",
        preparation.fixed_performance and "fixed-performance mode",
        gates.max_temperature_c is not None and f"started at {gates.max_temperature_c:g} °C at most",
        gates.max_load is not None and f"at a load of {gates.max_load:g} at most",
        gates.min_battery_percent is not None and f"at a battery of {gates.min_battery_percent:g} % at least",
    ]
    return "".join(f", {word}" for word in words if word)


def _place(row: Row) -> tuple[object, ...]:
    artifact = row.record.artifact
    return artifact.subject, artifact.runtime, artifact.backend, artifact.operator != IDENTITY, artifact.operator


def show(rows: Sequence[Row]) -> None:
    """Print a table for each device, with its footer, on stdout: what is compared stands together, identity first."""
    devices = list(dict.fromkeys(row.record.place for row in rows))
    for number, device in enumerate(devices):
        if len(devices) > 1:
            click.echo(("\n" if number else "") + clean(f"device {device}") + "\n")
        _show([row for row in rows if row.record.place == device])


def _show(rows: Sequence[Row]) -> None:
    rows = sorted(rows, key=_place)
    if sys.stdout.isatty():
        _rich(rows)
        return
    plain_table(_HEADINGS, [cells(row) for row in rows], right=range(3, len(_HEADINGS)))
    click.echo("\n" + "\n".join(footer(rows)))


def _rich(rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, heading in enumerate(_HEADINGS):
        table.add_column(heading, justify="left" if index < 3 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in cells(row)), style=None if row.record.valid else "red")
    console.print(table)
    console.print()
    for line in footer(rows):
        console.print(escape(line), style="yellow" if line.startswith(("warning", "not valid")) else "dim")
