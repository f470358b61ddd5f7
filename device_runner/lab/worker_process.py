"""A worker as a process of its own: `python -m device_runner.lab.worker_process --queue FILE --device NAME …`.

Started by the lab (supervisor.py), which holds the other end of its stdin: when that closes, the lab is gone, and the worker
stops as if by Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from device_runner import device_lock, inventory
from device_runner.conditions import heat, waiting
from device_runner.conditions.asking import ask
from device_runner.conditions.system import detect
from device_runner.deadline import Deadline
from device_runner.lab import performing
from device_runner.lab.heartbeat import Heartbeat
from device_runner.lab.queue import Lease, Outcome, Trouble
from device_runner.lab.sqlite_queue import BEAT_SEC, SqliteQueue
from device_runner.lab.worker import Worker
from device_runner.runner import CALL_SEC
from edgedeploy.errors import EdgedeployError
from edgedeploy.interrupt import stopping_raises
from edgedeploy.progress import StatusLine


class Told(StatusLine):
    """What a bench says of its progress, to the queue and, what is for good, to the log."""

    def __init__(self, beat: Heartbeat) -> None:
        super().__init__(sys.stderr)
        self._beat = beat

    def now(self, text: str) -> None:
        self._beat.say(text)

    def line(self, text: str) -> None:
        self._beat.say(text)
        super().line(text)

    def temperature(self, celsius: float) -> None:
        self._beat.warm(celsius)


class OnDevice:
    """Does jobs on a real device. See worker.Performer."""

    def __init__(self, name: str, devices: Path | None) -> None:
        self._name, self._devices = name, devices
        self.temperature_c: float | None = None

    def perform(self, lease: Lease, beat: Heartbeat) -> tuple[Sequence[str], Sequence[Outcome]]:
        return performing.perform(lease, Told(beat), lambda identifier: None)

    def trouble_of(self, error: Exception) -> Trouble:
        return performing.trouble_of(error)

    def not_yet(self) -> str:
        try:
            device = inventory.resolve(self._name, self._devices)
            if not device.gates.asked:
                return ""
            with device_lock.locked(device):
                transport = device.connect()
                try:
                    deadline = Deadline.after(CALL_SEC)
                    system = detect(transport, deadline)
                    # what the device does not show at all never opens: the job says so
                    found = waiting.shut(transport, device.gates, system, deadline)
                    shut = [reason for reason in found if not reason.endswith(waiting.UNREAD)]
                    warmth = heat.read(ask(transport, heat.asks(system), deadline), system) if shut else heat.Heat()
                finally:
                    transport.close()
        except EdgedeployError:
            # what is wrong with it is found out, and counted, by the job
            return ""
        hottest = heat.hottest(warmth.temperatures_c)
        self.temperature_c = hottest[1] if hottest is not None else None
        return f"waiting: {'; '.join(shut)}" if shut else ""


def _stop_when_the_lab_is_gone() -> None:
    # not sys.stdin: a thread that waits in it keeps the interpreter from ending
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 nothing to do any more, 130 stopped."""
    parser = argparse.ArgumentParser(prog="worker_process")
    parser.add_argument("--queue", type=Path, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--name", required=True, help="of the worker, in the queue")
    parser.add_argument("--devices", type=Path, help="the inventory")
    options = parser.parse_args(arguments)
    threading.Thread(target=_stop_when_the_lab_is_gone, daemon=True).start()
    try:
        with stopping_raises():
            worker = Worker(
                SqliteQueue(options.queue), options.device, options.name, OnDevice(options.device, options.devices),
                lambda: os.kill(os.getpid(), signal.SIGTERM), beat_sec=BEAT_SEC,
            )  # fmt: skip
            worker.work()
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
