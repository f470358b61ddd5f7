"""`lab watch`: the lab while it works, redrawn on a terminal, and one line for each thing that happens elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from device_runner.lab.queue import Queue
from device_runner.lab.view import Snapshot, duration, snapshot
from edgedeploy.terminal import clean

_TURN_SEC = 1.0
_STYLES = {
    "running": "green", "free": "cyan", "cooling": "yellow", "in use": "yellow", "paused": "blue", "draining": "blue",
    "quarantined": "magenta", "dead": "red", "unauthorised": "red", "unknown": "dim",
}  # fmt: skip


def watch(queue: Queue, is_run: Callable[[], bool]) -> None:
    """Show the lab until nothing is left to do, or no process runs it any more, which is_run tells."""
    if sys.stdout.isatty():
        _live(queue, is_run)
    else:
        _lines(queue, is_run)


def _over(shown: Snapshot) -> bool:
    return not shown.is_run or not (shown.running or shown.queued)


def _live(queue: Queue, is_run: Callable[[], bool]) -> None:
    with Live(console=Console(), auto_refresh=False, screen=False) as live:
        while True:
            shown = snapshot(queue, is_run=is_run())
            live.update(drawn(shown), refresh=True)
            if _over(shown):
                return
            time.sleep(_TURN_SEC)


def drawn(shown: Snapshot) -> Table:
    """The table of this moment."""
    left = f", about {duration(shown.left_sec)} left" if shown.left_sec is not None else ""
    held = f", {shown.held}" if shown.held else "" if shown.is_run else ", no process runs it"
    table = Table(title=f"lab{held}: {shown.running} running, {shown.queued} queued{left}", title_justify="left")
    for name, right in (("device", False), ("state", False), ("°C", True), ("queued", True), ("left", True), ("doing", False)):
        table.add_column(name, justify="right" if right else "left", no_wrap=name != "doing")
    for each in shown.devices:
        warm = f"{each.state.temperature_c:.0f}" if each.state.temperature_c is not None else ""
        shared = f"+{each.shared}" if each.shared else ""
        # Text, not a string: what a device or a file is called is no markup
        table.add_row(
            Text(clean(each.state.name, 40)), Text(each.word, style=_STYLES[each.word]), warm, f"{each.queued}{shared}",
            duration(each.left_sec) if each.left_sec else "", Text(clean(each.says, 200)),
        )  # fmt: skip
    for plan in shown.plans:
        counts = plan.counts
        total = sum(number for state, number in counts.items() if state != "withdrawn")
        over = counts.get("done", 0) + counts.get("failed", 0)
        wrong = plan.not_valid + counts.get("failed", 0)
        table.add_row(Text(clean(plan.name, 40), style="bold"), "plan", "", "", "",
                      f"{over} of {total} done" + (f", {wrong} failed or not valid" if wrong else ""))  # fmt: skip
    return table


def _lines(queue: Queue, is_run: Callable[[], bool]) -> None:
    known = queue.events(most=1)
    last = known[-1].id if known else 0
    shown = snapshot(queue, is_run=is_run())
    if not _over(shown):
        # the next event may be minutes away
        print(summary(shown), flush=True)  # noqa: T201 - this is the command's output
    while True:
        for event in queue.events(last):
            print(line(event.at, event.device, event.text), flush=True)  # noqa: T201
            last = event.id
        if _over(shown):
            print(summary(shown), flush=True)  # noqa: T201
            return
        time.sleep(_TURN_SEC)
        shown = snapshot(queue, is_run=is_run())


def line(at: float, device: str, text: str) -> str:
    """Something that happened. at: seconds since 1970."""
    when = time.strftime("%H:%M:%S", time.localtime(at))
    return clean(f"{when}  {device + ': ' if device else ''}{text}")


def summary(shown: Snapshot) -> str:
    """How far all plans are, on one line."""
    counts: dict[str, int] = {}
    for plan in shown.plans:
        for state, number in plan.counts.items():
            counts[state] = counts.get(state, 0) + number
    wrong = sum(plan.not_valid for plan in shown.plans)
    parts = [f"{number} {state}" for state, number in counts.items() if number] + ([f"{wrong} not valid"] if wrong else [])
    return ", ".join(parts) or "nothing was put in"
