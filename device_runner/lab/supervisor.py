"""The process that runs the lab: it watches devices and workers, and does no measuring itself.

Killed at any point it loses nothing: the queue is on disk, its workers end when they lose it, and the next one begins with
ending what leases they left.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from device_runner import inventory
from device_runner.inventory.device import Device
from device_runner.lab import health
from device_runner.lab.fleet import Fleet
from device_runner.lab.place import Place
from device_runner.lab.presence import Watch
from device_runner.lab.queue import DeviceState, Job
from device_runner.lab.sqlite_queue import SqliteQueue
from edgedeploy.errors import UserError

TURN_SEC = 0.5


class Supervisor:
    """say: told what happens. patience_sec: how long devices that are not there are waited for when nothing else is to do."""

    def __init__(self, place: Place, devices: Path | None, say: Callable[[str, str], None], patience_sec: float) -> None:
        self._place, self._file, self._say, self._patience_sec = place, devices, say, patience_sec
        self._queue = SqliteQueue(place.queue)
        self._fleet = Fleet(place, devices)
        self._woken = threading.Event()
        # a queue of its own: what a thread waits for must not keep this one waiting
        self._watch = Watch(SqliteQueue(place.queue), self._woken.set)
        self._devices: dict[str, Device | None] = {}
        self._checks: dict[str, threading.Thread] = {}

    def run(self) -> None:
        """Work until nothing is left, or nothing but for devices that stay away. KeyboardInterrupt stops the workers first."""
        self._end_leases_of_the_dead()
        since = self._queue.events(most=1)
        last = since[-1].id if since else 0
        idle_since = time.monotonic()
        try:
            while True:
                for gone in self._fleet.reap():
                    self._queue.worker_gone(gone.name, crashed=gone.crashed)
                self._queue.sweep()
                jobs = self._queue.jobs(states=("queued", "running"))
                self._follow(jobs)
                states = {state.name: state for state in self._queue.devices()}
                self._check_quarantined(states)
                self._start_workers(jobs)
                last = self._tell(last)
                if not jobs:
                    return
                busy = (
                    bool(self._fleet.names) or any(job.state == "running" for job in jobs) or self._waits_for_a_person(states)
                )
                if busy:
                    idle_since = time.monotonic()
                elif time.monotonic() - idle_since > self._patience_sec or self._queue.held() == "draining":
                    return
                self._woken.wait(TURN_SEC)
                self._woken.clear()
        finally:
            self._watch.end()
            for gone in self._fleet.stop():
                self._queue.worker_gone(gone.name, crashed=gone.crashed)
            self._tell(last)

    def _end_leases_of_the_dead(self) -> None:
        """What a lab that was killed left: its workers end with it, and their jobs need not wait for their leases to end."""
        here = socket.gethostname()
        for job in self._queue.jobs(states=("running",)):
            host, _, rest = job.worker.partition("/")
            lab = rest.partition("/")[0]
            if host == here and lab.isdigit() and int(lab) != os.getpid():
                # we hold the lab's lock, so that lab is gone; a worker that is still ending has the device's lock until it has
                self._queue.worker_gone(job.worker, crashed=False)

    def _follow(self, jobs: list[Job]) -> None:
        for name in {name for job in jobs for name in job.pool} - self._devices.keys():
            try:
                self._devices[name] = inventory.resolve(name, self._file)
            except UserError as error:
                self._devices[name] = None
                self._queue.seen(name, "dead", f"not known any more: {error}")
        self._watch.follow(device for device in self._devices.values() if device is not None)

    def _start_workers(self, jobs: list[Job]) -> None:
        for name in {name for job in jobs if job.state == "queued" for name in job.pool}:
            if not self._fleet.works(name) and self._devices.get(name) is not None and self._queue.claimable(name):
                self._fleet.start(name)

    def _waits_for_a_person(self, states: dict[str, DeviceState]) -> bool:
        """Whether somebody has paused the lab or a device, and is waited for."""
        return self._queue.held() == "paused" or any(state.hold == "paused" for state in states.values())

    def _check_quarantined(self, states: dict[str, DeviceState]) -> None:
        for name, state in states.items():
            device = self._devices.get(name)
            if state.hold != "quarantined" or state.hold_by != "lab" or device is None or state.presence != "present":
                continue
            thread = self._checks.get(name)
            if time.time() < health.due_at(state.held_at, state.checks) or (thread is not None and thread.is_alive()):
                continue
            self._checks[name] = threading.Thread(target=self._check, args=(device,), daemon=True)
            self._checks[name].start()

    def _check(self, device: Device) -> None:
        found = health.trouble(device)
        if found is None:
            return
        queue = SqliteQueue(self._place.queue)
        try:
            queue.checked(device.name, found)
        finally:
            queue.close()
        self._woken.set()

    def _tell(self, last: int) -> int:
        for event in self._queue.events(last):
            self._say(event.device, event.text)
            last = event.id
        return last
