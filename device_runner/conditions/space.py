"""Room on the storage that artifacts are pushed to."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.base import Transport


def free_bytes(transport: Transport, deadline: Deadline) -> int | None:
    """What this user may still write there; None when the device does not say."""
    root = str(PurePosixPath(transport.path("runs")).parent)
    printed = transport.run(["df", "-kP", root], deadline)
    # device, 1024-blocks, used, available, capacity, mount point; there may be blanks in the first and the last
    for line in printed.text.split("\n")[1:]:
        words = line.split()
        for index, word in enumerate(words):
            if word.endswith("%") and index >= 3 and words[index - 1].isdigit():
                return int(words[index - 1]) * 1024
    return None
