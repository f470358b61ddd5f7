"""`lab run --cluster`: a plan put in from any host of the cluster, and followed. The cluster works without us."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from device_runner.durable import write_whole
from device_runner.lab.cluster import shipping
from device_runner.lab.cluster.connecting import head_of
from device_runner.lab.cluster.host import MARK
from device_runner.lab.cluster.line import Line
from device_runner.lab.cluster.naming import Everywhere
from device_runner.lab.cluster.remote_queue import RemoteQueue
from device_runner.lab.queue import Queue, Wanted
from edgedeploy.errors import UserError

_LOOK_SEC = 1.0


class Cluster:
    """The cluster whose head is at `address`, as this host sees it. Raises UserError with what to do."""

    def __init__(self, address: str) -> None:
        self._line = Line(head_of(address))
        self.queue = RemoteQueue(self._line)

    def is_run(self) -> bool:
        """A head that answers runs its lab."""
        return True

    def devices(self) -> Everywhere:
        """Of all hosts that are there, or were lately."""
        return Everywhere(self._line.raw("hosts"))

    def shipped(self, jobs: Sequence[Wanted], say: Callable[[str], None]) -> list[Wanted]:
        """The jobs with what the hosts need: their artifacts are with the head, and their store is known by its mark."""
        known: dict[Path, shipping.Listing] = {}
        marks: dict[str, str] = {}
        made = []
        for job in jobs:
            out = str(job.work["out"])
            if out not in marks:
                marks[out] = _mark(out)
            paths = [Path(path) for path in job.work["paths"]]
            more: dict[str, Any] = {"shipped": shipping.together(paths, known), "mark": marks[out], "devices": None}
            made.append(replace(job, work={**job.work, **more}))
        shipping.send(self._line, known, say)
        return made


def _mark(out: str) -> str:
    """What tells a directory that hosts share from one that only has its name; "" for a URL."""
    if "://" in out:
        return ""
    file = Path(out) / MARK
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.is_file():
            write_whole(file, secrets.token_hex(16).encode())
        return file.read_text(encoding="ascii")
    except OSError as error:
        raise UserError(
            f"{out}: runs cannot be kept there ({error.strerror}); name a directory that all hosts have, or s3://"
        ) from None


def until_done(queue: Queue, plan: str, say: Callable[[str, str], None], patience_sec: float) -> None:
    """Return when nothing of the plan is left, or none of it has run for so long. say: told what happens."""
    known = queue.events(most=1)
    last = known[-1].id if known else 0
    idle_since = time.monotonic()
    while True:
        jobs = queue.jobs(plan, ("queued", "running"))
        for event in queue.events(last):
            say(event.device, event.text)
            last = event.id
        if not jobs:
            return
        waits = queue.held() == "paused" or any(state.hold == "paused" for state in queue.devices())
        if waits or any(job.state == "running" for job in jobs):
            idle_since = time.monotonic()
        elif time.monotonic() - idle_since > patience_sec or queue.held() == "draining":
            return
        time.sleep(_LOOK_SEC)
