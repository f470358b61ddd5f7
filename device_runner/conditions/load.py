"""Load average over one minute."""

from __future__ import annotations

import re

from device_runner.conditions.asking import Answers, Files

_LOAD = Files("/proc/loadavg")
ASKS = (_LOAD,)


def load_1m(answers: Answers) -> float | None:
    """Runnable and waiting processes, averaged over a minute. None when /proc/loadavg cannot be read."""
    match = re.match(r"(\d{1,6}\.\d+)\s", answers.text(_LOAD))
    return float(match.group(1)) if match else None
