"""The worker of one device: it pulls a job, does it, says how it went, and pulls the next."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from device_runner.lab.heartbeat import Heartbeat
from device_runner.lab.queue import Lease, LeaseLost, Outcome, Queue, Trouble
from edgedeploy.errors import EdgedeployError, TransientError
from edgedeploy.interrupt import held

#: between looks at a device that is too hot to begin anything on: looking keeps it warm, so less and less often; what a look
#: that comes late costs is a tenth of the time that it was hot, and half a second
_FIRST_LOOK_SEC, _LONGER, _LONGEST_LOOK_SEC = 0.5, 1.1, 10.0


def cooling_pauses() -> Iterator[float]:
    """Seconds until each next look."""
    pause = _FIRST_LOOK_SEC
    while True:
        yield pause
        pause = min(pause * _LONGER, _LONGEST_LOOK_SEC)


class Performer(Protocol):
    """Does jobs on the worker's device. temperature_c: of the device when `not_yet` last found it not ready."""

    temperature_c: float | None

    def perform(self, lease: Lease, beat: Heartbeat) -> tuple[Sequence[str], Sequence[Outcome]]:
        """The committed runs and how each artifact did. Stops with KeyboardInterrupt once it was interrupted."""
        ...

    def trouble_of(self, error: Exception) -> Trouble:
        """Whose trouble it is that `perform` raised this."""
        ...

    def not_yet(self) -> str:
        """Why nothing is to be begun on the device now (it is hot, say); "" when it may. Looked at before a job is claimed, so
        that one that others could do meanwhile does not wait for it."""
        ...


class Worker:
    """name: the worker's, the same in the queue. interrupt: makes `perform` stop; called from another thread."""

    def __init__(
        self, queue: Queue, device: str, name: str, performer: Performer, interrupt: Callable[[], None], *, beat_sec: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self._queue, self._device, self._name, self._performer = queue, device, name, performer
        self._interrupt, self._beat_sec, self._sleep = interrupt, beat_sec, sleep

    def work(self) -> int:
        """Do jobs until there is none for the device now. Returns how many. KeyboardInterrupt leaves one to be gone on with."""
        count = 0
        pauses = cooling_pauses()
        while self._queue.claimable(self._device):
            reason = self._performer.not_yet()
            if reason:
                self._queue.doing(self._device, reason, self._performer.temperature_c)
                self._sleep(next(pauses))
                continue
            pauses = cooling_pauses()
            lease = self._queue.claim(self._device, self._name)
            if lease is None:
                break
            count += 1
            if not self._one(lease):
                break
        return count

    def _one(self, lease: Lease) -> bool:
        """Do a job; False when it was stopped."""
        beat = Heartbeat(self._queue, lease.token, self._interrupt, self._beat_sec)
        try:
            with beat:
                try:
                    runs, outcomes = self._performer.perform(lease, beat)
                except EdgedeployError as error:
                    trouble, reason = self._performer.trouble_of(error), str(error)
                except Exception as error:
                    # a bug of ours is no reason for a lab to stand still; its job says what it was
                    trouble, reason = "unclear", f"{type(error).__name__}: {error}"
                else:
                    trouble, reason = "", ""
            with held():
                if trouble:
                    self._queue.fail(lease.token, trouble, reason)
                else:
                    self._queue.finish(lease.token, runs, outcomes)
        except (LeaseLost, TransientError):
            # what was measured is on disk; whoever has the job now, or next where the queue is out of reach, finds it there
            return False
        except KeyboardInterrupt:
            with held(), contextlib.suppress(TransientError):
                self._queue.release(lease.token)
            if beat.lost or beat.stopping:
                return False
            raise
        return True
