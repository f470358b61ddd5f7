"""A device's CPUs: how fast each can go, goes now, and what keeps it there."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from device_runner.conditions import files

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport

_CPUS = "/sys/devices/system/cpu"


@dataclass(frozen=True)
class Core:
    """Frequencies in kHz. What the kernel does not show is None; `online` is True where it does not say otherwise."""

    cpu: int
    online: bool = True
    max_khz: int | None = None
    now_khz: int | None = None
    governor: str | None = None


def read(transport: Transport, deadline: Deadline) -> list[Core]:
    """Every CPU the kernel lists, in order."""
    names = [name for name in files.entries(transport, _CPUS, deadline) if re.fullmatch(r"cpu\d{1,4}", name)]
    keys = ("online", "cpufreq/cpuinfo_max_freq", "cpufreq/scaling_cur_freq", "cpufreq/scaling_governor")
    found = files.read(transport, [f"{_CPUS}/{name}/{key}" for name in names for key in keys], deadline)
    cores = []
    for name in names:
        online, most, now, governor = (found.get(f"{_CPUS}/{name}/{key}") for key in keys)
        cores.append(
            Core(int(name[3:]), online != "0", files.whole(most), files.whole(now), governor[:50] if governor else None)
        )  # fmt: skip
    return sorted(cores, key=lambda core: core.cpu)


def summary(cores: list[Core]) -> str:
    """In one line, the fastest first: "4 of 2400 MHz (now 1800), 4 of 1800 MHz (now 1800)"."""
    kinds = Counter((core.max_khz, core.now_khz) for core in cores if core.online)
    parts = []
    for (most, now), count in sorted(kinds.items(), key=lambda kind: -(kind[0][0] or 0)):
        fastest = f" of {most // 1000} MHz" if most is not None else ", frequency not shown"
        parts.append(f"{count}{fastest}" + (f" (now {now // 1000})" if now is not None else ""))
    off = [str(core.cpu) for core in cores if not core.online]
    return ", ".join(parts) + (f"; offline: {','.join(off)}" if off else "")
