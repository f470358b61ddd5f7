"""A port of this host that leads to another one over a shaped link: the delay line, as a process while it is needed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from device_runner.tiers.shape import Shape
from edgedeploy.errors import InternalError

_END_SEC = 5.0
_ROOT = Path(__file__).resolve().parents[2]


@contextlib.contextmanager
def relay(port: int, shape: Shape) -> Iterator[int]:
    """Inside, the port of the loopback that leads to `port` of it, shaped both ways. Raises InternalError."""
    arguments = [str(port), repr(shape.mbit_s or 0.0), repr(shape.delay_ms)]
    process = subprocess.Popen(
        # -S: no site-packages: it needs none, and starts in a third of the time
        [sys.executable, "-S", "-m", "device_runner.tiers.delay_line", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT, start_new_session=True,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said = process.stdout.readline().strip()
        if not said.isdigit():
            raise InternalError("the delay line did not begin")
        yield int(said)
    finally:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(_END_SEC)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
