"""What a device's CPUs can do, as far as it decides which libraries run there and how fast int8 is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport

#: the kernel's word -> ours
_NAMES = {
    "atomics": "lse", "asimdhp": "fp16", "asimddp": "dotprod", "i8mm": "i8mm", "bf16": "bf16", "sve": "sve", "sve2": "sve2",
    "avx2": "avx2", "fma": "fma", "avx512f": "avx512f", "avx512_vnni": "avx512_vnni", "avx_vnni": "avx_vnni",
}  # fmt: skip


def read(transport: Transport, deadline: Deadline) -> frozenset[str] | None:
    """Those that every CPU has: a program may be moved to any. None when /proc/cpuinfo does not say."""
    printed = transport.run(["cat", "/proc/cpuinfo"], deadline)
    lines = re.findall(r"^(?:Features|flags)[ \t]*:(.{0,8000})$", printed.text, re.MULTILINE)
    if not lines:
        return None
    common = set.intersection(*(set(line.split()) for line in lines))
    return frozenset(ours for theirs, ours in _NAMES.items() if theirs in common)
