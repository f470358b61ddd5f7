"""What runs on a lab host, started there by Ray: an actor that watches its devices, and a task for each that has work."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from device_runner import inventory
from device_runner.inventory.device import Device
from device_runner.lab import health, performing
from device_runner.lab.cluster import connecting, naming, shipping
from device_runner.lab.cluster.line import Line
from device_runner.lab.cluster.remote_queue import RemoteQueue
from device_runner.lab.heartbeat import Heartbeat
from device_runner.lab.presence import Watch
from device_runner.lab.queue import Lease, Outcome
from device_runner.lab.sqlite_queue import BEAT_SEC
from device_runner.lab.worker import Worker
from device_runner.lab.worker_process import OnDevice, Told
from edgedeploy.errors import TransientError, UserError
from edgedeploy.interrupt import stopping_raises

#: of a directory that hosts share, so that one that is not mounted is not taken for it
MARK = ".lab-store"


class Host:
    """The actor of one host. name: the host's."""

    def __init__(self, name: str) -> None:
        import ray

        self._name, head = name, ray.get_actor(connecting.HEAD, connecting.NAMESPACE)
        self._queue = RemoteQueue(Line(head), name)
        self._watch = Watch(self._queue, lambda: None)

    def hello(self) -> dict[str, Any]:
        """Its versions, its devices, and what is wrong with its inventory."""
        try:
            devices, trouble = inventory.known().devices, ""
        except UserError as error:
            devices, trouble = [], str(error)
        announced = [
            {"name": each.name, "tier": each.tier, "labels": list(each.labels), "model": each.model} for each in devices
        ]  # fmt: skip
        return {"name": self._name, "versions": connecting.versions(), "devices": announced, "trouble": trouble}

    def follow(self, names: Sequence[str]) -> None:
        """Watch the devices that the host calls so, and tell the queue of them."""
        for name in names:
            try:
                device = inventory.resolve(name)
            except UserError as error:
                self._queue.seen(naming.joined(name, self._name), "dead", f"not known any more: {error}")
            else:
                self._watch.follow([self._as_queued(device)])

    def check(self, name: str) -> str | None:
        """See health.trouble."""
        try:
            return health.trouble(inventory.resolve(name))
        except UserError as error:
            return str(error)

    def _as_queued(self, device: Device) -> Device:
        return replace(device, name=naming.joined(device.name, self._name))


class OnHost(OnDevice):
    """Does jobs on a device of this host, with artifacts that come from the head."""

    def __init__(self, name: str, line: Line) -> None:
        super().__init__(name, None)
        self._line = line

    def perform(self, lease: Lease, beat: Heartbeat) -> tuple[Sequence[str], Sequence[Outcome]]:
        _check_shared(str(lease.work["out"]), str(lease.work["mark"]))
        beat.say("fetching artifacts")
        paths = [str(shipping.fetched(self._line, each)) for each in lease.work["shipped"]]
        work = {**lease.work, "paths": paths, "devices": None}
        return performing.perform(replace(lease, device=self._name, work=work), Told(beat), lambda identifier: None)


def _check_shared(out: str, mark: str) -> None:
    """Raises TransientError where a directory is not the one that the other hosts have under this name."""
    if not mark:
        return
    file = Path(out) / MARK
    try:
        same = file.read_text(encoding="ascii") == mark
    except (OSError, UnicodeDecodeError):
        same = False
    if not same:
        raise TransientError(
            f"{out}: is on this host not the directory where the lab keeps its runs; mount it, or use an s3:// URL"
        )


def work_on(head: Any, device: str, worker: str) -> int:
    """Do jobs on a device until there are none for it now, in Ray's task. Returns how many; -1 when it was stopped."""
    line = Line(head)
    name, host = naming.parted(device)
    try:
        with stopping_raises():
            return Worker(
                RemoteQueue(line, host), device, worker, OnHost(name, line), lambda: os.kill(os.getpid(), signal.SIGTERM),
                beat_sec=BEAT_SEC,
            ).work()  # fmt: skip
    except (KeyboardInterrupt, TransientError):
        return -1
