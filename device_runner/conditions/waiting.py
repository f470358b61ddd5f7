"""Waiting before a launch until the device is cool, idle and charged enough."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from device_runner.conditions import battery, heat, load
from device_runner.conditions.asking import Question, ask
from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from device_runner.conditions.system import System
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport
    from edgedeploy.gates import Gates

#: looking keeps a device from cooling down and idling, so it is done less and less often
_FIRST_PAUSE_SEC, _LONGEST_PAUSE_SEC = 1.0, 10.0
#: how a reason ends that no waiting changes
UNREAD = "cannot be read"


def shut(transport: Transport, gates: Gates, system: System, deadline: Deadline) -> list[str]:
    """Why a launch may not start now, one sentence per gate that is shut; empty when it may."""
    answers = ask(transport, _asks(gates, system), deadline)
    reasons = []
    if gates.max_temperature_c is not None:
        hottest = heat.hottest(heat.read(answers, system).temperatures_c)
        if hottest is None:
            reasons.append(f"the temperature {UNREAD}")
        elif hottest[1] > gates.max_temperature_c:
            reasons.append(f"{hottest[0]} is at {hottest[1]:.1f} °C, over {gates.max_temperature_c:g}")
    if gates.max_load is not None:
        running = load.load_1m(answers)
        if running is None:
            reasons.append(f"the load {UNREAD}")
        elif running > gates.max_load:
            reasons.append(f"the load is {running:.2f}, over {gates.max_load:g}")
    if gates.min_battery_percent is not None:
        charge = battery.read(answers, system).percent
        if charge is None:
            reasons.append(f"the battery {UNREAD}")
        elif charge < gates.min_battery_percent:
            reasons.append(f"the battery is at {charge:.0f} %, under {gates.min_battery_percent:g}")
    return reasons


def _asks(gates: Gates, system: System) -> tuple[Question, ...]:
    return (
        *(heat.asks(system) if gates.max_temperature_c is not None else ()),
        *(load.ASKS if gates.max_load is not None else ()),
        *(battery.asks(system) if gates.min_battery_percent is not None else ()),
    )


def check(transport: Transport, gates: Gates, system: System, deadline: Deadline) -> None:
    """Raise UserError for a gate on what the device does not show at all: it would never open."""
    unread = [reason for reason in shut(transport, gates, system, deadline) if reason.endswith(UNREAD)]
    if unread:
        raise UserError(
            f"{'; '.join(unread)} on this device, so no launch can wait for it: leave that gate out "
            "(--max-temperature-c, --max-load, --min-battery, or limits in devices.yaml)"
        )


def wait(look: Callable[[], list[str]], timeout_sec: float, say: Callable[[str], None]) -> list[str]:
    """Wait until `look` finds no gate shut. Returns what still is after `timeout_sec`; `say` is told meanwhile."""
    started = time.monotonic()
    pause = _FIRST_PAUSE_SEC
    while reasons := look():
        waited = time.monotonic() - started
        if waited >= timeout_sec:
            break
        say(f"waiting, {waited:.0f} s of {timeout_sec:g}: {'; '.join(reasons)}")
        time.sleep(min(pause, timeout_sec - waited))
        pause = min(pause * 1.5, _LONGEST_PAUSE_SEC)
    return reasons
