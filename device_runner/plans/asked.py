"""The plan of a mode with what was asked for beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from device_runner.plans import MODES
from device_runner.plans.in_turns import MODES as IN_TURNS
from device_runner.plans.until import MIN_LAUNCHES, MOST_LAUNCHES
from edgedeploy.errors import UserError
from edgedeploy.record import Plan


def planned(mode: str, numbers: Mapping[str, Any]) -> Plan:
    """numbers: what was said, by the names of bench's options. Raises UserError for what does not go together."""
    given = dict(numbers)
    if "streams" in given and mode != "throughput":
        raise UserError("--streams is for --mode throughput")
    if "budget_sec" in given and "until" not in given:
        raise UserError("--budget is for --until; without it, --launches says how long it takes")
    if given.get("in_turns") and mode not in IN_TURNS:
        raise UserError(f"--in-turns is for --mode {' and '.join(IN_TURNS)}: the others are about a device that does one thing")
    if "until" in given and given.setdefault("launches", MOST_LAUNCHES) < MIN_LAUNCHES:
        raise UserError(f"--until first looks at {MIN_LAUNCHES} launches; give --launches {MIN_LAUNCHES} or more")
    return MODES[mode].plan(given)
