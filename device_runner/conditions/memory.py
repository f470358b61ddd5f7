"""Memory."""

from __future__ import annotations

import re

from device_runner.conditions.asking import Answers, Files

_MEMORY = Files("/proc/meminfo")
ASKS = (_MEMORY,)


def meminfo_kb(answers: Answers, field: str) -> int | None:
    """A field of /proc/meminfo in kB (`MemTotal`, `MemAvailable`); None when it is not there."""
    match = re.search(rf"^{re.escape(field)}:\s+(\d{{1,15}}) kB$", answers.text(_MEMORY), re.MULTILINE)
    return int(match.group(1)) if match else None
