"""Android's battery service; /sys/class/power_supply is closed to a shell on most phones."""

from __future__ import annotations

import re

from device_runner.conditions.asking import Answers, Program

_BATTERY = Program(("dumpsys", "battery"))
ASKS = (_BATTERY,)
#: BatteryManager's BATTERY_STATUS_*; 1 is unknown
_CHARGING = {2: True, 3: False, 4: False, 5: True}


def read(answers: Answers) -> tuple[float | None, bool | None, float | None]:
    """(charge in percent, whether it charges or is full, degrees Celsius); None each where it does not say."""
    dumped = answers.said(_BATTERY)
    text = dumped.text if dumped.exit_code == 0 else ""
    if re.search(r"^\s*present: false$", text, re.MULTILINE):
        return None, None, None
    level, scale, status, tenths = (_number(text, key) for key in ("level", "scale", "status", "temperature"))
    percent = 100 * level / scale if level is not None and scale and 0 <= level <= scale else None
    return percent, _CHARGING.get(status) if status is not None else None, None if tenths is None else tenths / 10


def _number(text: str, key: str) -> int | None:
    match = re.search(rf"^\s*{key}: (-?[0-9]{{1,6}})\s*$", text, re.MULTILINE)
    return int(match.group(1)) if match else None
