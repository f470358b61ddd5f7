"""Which CPUs a program may use there."""

from __future__ import annotations

import re

from device_runner.conditions.asking import Answers, Files

# of the program that reads it, which is as any other that we start
_STATUS = Files("/proc/self/status")
ASKS = (_STATUS,)


def allowed(answers: Answers) -> frozenset[int] | None:
    """CPUs that a program of ours may run on (online, and inside its container's set); None when it cannot be read."""
    match = re.search(r"^Cpus_allowed_list:\s*([0-9,-]{1,1000})$", answers.text(_STATUS), re.MULTILINE)
    if not match:
        return None
    cpus: set[int] = set()
    for part in match.group(1).split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit() and int(last or first) < 4096:
            cpus.update(range(int(first), int(last or first) + 1))
    return frozenset(cpus) or None
