"""`lab run`: the lab is ours to run, or somebody else runs it and takes our plan along; should that process end, it is ours."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from device_runner.lab.place import Place
from device_runner.lab.queue import Queue
from device_runner.lab.supervisor import Supervisor

_LOOK_SEC = 1.0


def until_done(
    place: Place, queue: Queue, plan: str, devices: Path | None, say: Callable[[str, str], None], patience_sec: float
) -> None:  # fmt: skip
    """Return when nothing of the plan is left, or nobody can do it for now. say: told what happened, of a device or ""."""
    told = False
    while queue.jobs(plan, ("queued", "running")):
        with place.running() as ours:
            if ours:
                Supervisor(place, devices, say, patience_sec).run()
                return
        if not told:
            say("", "another process runs this lab and takes the plan along; if it ends, this one goes on")
            told = True
        time.sleep(_LOOK_SEC)
