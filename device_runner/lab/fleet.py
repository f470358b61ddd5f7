"""The workers of this host: a process for each device that has work, and what becomes of them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from device_runner.lab.place import Place

#: a worker that ends at once is not started anew at once
_PAUSE_SEC = 2.0
_STOP_SEC = 45.0


@dataclass(frozen=True)
class Gone:
    """A worker that ended. crashed: not by itself, and not because it was asked to."""

    name: str
    device: str
    crashed: bool
    why: str


@dataclass
class _Running:
    name: str
    process: subprocess.Popen[bytes]


class Fleet:
    """devices: the inventory's file, where one was named."""

    def __init__(self, place: Place, devices: Path | None) -> None:
        self._place, self._devices = place, devices
        self._running: dict[str, _Running] = {}
        self._not_before: dict[str, float] = {}

    def works(self, device: str) -> bool:
        return device in self._running

    @property
    def names(self) -> list[str]:
        return [each.name for each in self._running.values()]

    def start(self, device: str) -> None:
        """Start the device's worker, unless it has one or its last one ended a moment ago."""
        if device in self._running or time.monotonic() < self._not_before.get(device, 0.0):
            return
        name = f"{socket.gethostname()}/{os.getpid()}/{device}/{time.monotonic_ns()}"
        command = [
            sys.executable, "-m", "device_runner.lab.worker_process", "--queue", str(self._place.queue), "--device", device,
            "--name", name, *(["--devices", str(self._devices)] if self._devices is not None else []),
        ]  # fmt: skip
        with self._place.log(device).open("ab") as log:
            # a session of its own: Ctrl-C is for the lab, which then closes its stdin
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )  # fmt: skip
        self._running[device] = _Running(name, process)

    def reap(self) -> list[Gone]:
        """Those that ended since the last call."""
        gone = []
        for device, worker in list(self._running.items()):
            code = worker.process.poll()
            if code is None:
                continue
            del self._running[device]
            self._not_before[device] = time.monotonic() + _PAUSE_SEC
            if worker.process.stdin is not None:
                worker.process.stdin.close()
            crashed = code not in (0, 130)
            why = f"signal {-code}" if code < 0 else f"exit code {code}"
            gone.append(Gone(worker.name, device, crashed, why))
        return gone

    def stop(self) -> list[Gone]:
        """Have all of them stop, keeping what they have; wait for it, and end those that do not."""
        for worker in self._running.values():
            if worker.process.stdin is not None:
                worker.process.stdin.close()
        until = time.monotonic() + _STOP_SEC
        for worker in self._running.values():
            try:
                worker.process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        return self.reap()
