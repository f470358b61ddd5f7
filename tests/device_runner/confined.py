"""What every transport promises of paths: none leads out of the work root, whatever is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_runner.deadline import Deadline
from device_runner.transports.base import Transport
from edgedeploy.errors import UserError

#: no paths below a work root
OUTSIDE = ("/etc/passwd", "../x", "a/../../x", "", ".", "a\0b")
_SEC = 60.0


def require_refused(device: Transport, path: str, source: Path, scratch: Path) -> None:
    """Every verb that takes a path refuses this one. source: a file that could be pushed."""
    deadline = Deadline.after(_SEC)
    for call in (
        lambda: device.push(source, path, deadline),
        lambda: device.pull(path, scratch / "y", deadline),
        lambda: device.remove(path, deadline),
        lambda: device.stat(path, deadline),
        lambda: device.path(path),
    ):
        with pytest.raises(UserError):
            call()
