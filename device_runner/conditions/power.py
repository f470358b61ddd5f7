"""Battery."""

from __future__ import annotations

from device_runner.conditions import files
from device_runner.conditions.asking import Answers, Files

_TYPES, _CAPACITIES, _STATUSES = (Files(f"/sys/class/power_supply/*/{name}") for name in ("type", "capacity", "status"))
ASKS = (_TYPES, _CAPACITIES, _STATUSES)


def battery(answers: Answers) -> tuple[float | None, bool | None]:
    """(charge in percent, whether it charges) of the first battery; None each where there is none."""
    capacities, statuses = answers.first(_CAPACITIES), answers.first(_STATUSES)
    for supply, kind in answers.first(_TYPES).items():
        if kind != "Battery":
            continue
        percent = files.whole(capacities.get(supply))
        known = {"Charging": True, "Full": True, "Discharging": False, "Not charging": False}
        return (None if percent is None else float(percent)), known.get(statuses.get(supply, ""))
    return None, None
