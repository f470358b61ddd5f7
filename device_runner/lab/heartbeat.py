"""A worker's word that it lives, given from beside its work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from device_runner.lab.queue import LeaseLost, Queue
from device_runner.lab.sqlite_queue import LEASE_SEC
from edgedeploy.errors import TransientError


class Heartbeat:
    """Inside, the lease is kept. interrupt: called once, from another thread, when the job is to be stopped.

    `lost`: the job is not ours any more. `stopping`: it is to be released. A queue that is not reached for nearly as long as
    the lease is good has given the job to somebody else, as far as we know: it counts as lost.
    """

    def __init__(
        self, queue: Queue, token: str, interrupt: Callable[[], None], beat_sec: float, lease_sec: float = LEASE_SEC
    ) -> None:  # fmt: skip
        self._queue, self._token, self._interrupt, self._beat_sec = queue, token, interrupt, beat_sec
        self._silent_sec = max(beat_sec, lease_sec - beat_sec)
        self._ended = False
        self._woken = threading.Event()
        self._activity = "starting"
        self._temperature_c: float | None = None
        self.lost = self.stopping = False
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def say(self, activity: str) -> None:
        """What is going on; goes out with the next beat."""
        self._activity = activity

    def warm(self, temperature_c: float) -> None:
        """How hot the device is; the first time goes out at once, since a brief job has no other beat."""
        first, self._temperature_c = self._temperature_c is None, temperature_c
        if first:
            self._woken.set()

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None) -> None:
        self._ended = True
        self._woken.set()
        # not longer than a beat takes: a queue that hangs must not keep what was measured from being finished
        self._thread.join(self._beat_sec)

    def _run(self) -> None:
        heard = time.monotonic()
        while True:
            self._woken.wait(self._beat_sec)
            self._woken.clear()
            if self._ended:
                return
            asked = time.monotonic()
            try:
                go_on = self._queue.heartbeat(self._token, self._activity, self._temperature_c)
            except LeaseLost:
                self.lost = True
            except TransientError:
                # the lease outlives several beats, and not all of them
                self.lost = time.monotonic() - heard > self._silent_sec
            else:
                heard, self.stopping = asked, not go_on
            if (self.lost or self.stopping) and not self._ended:
                self._interrupt()
                return
