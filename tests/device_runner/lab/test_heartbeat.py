"""A lease that cannot be kept is given up before somebody else can have it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from device_runner.lab.heartbeat import Heartbeat
from device_runner.lab.sqlite_queue import SqliteQueue
from edgedeploy.errors import TransientError
from tests.device_runner.lab.conftest import job


class Unreachable(SqliteQueue):
    """Until it is opened, a queue at the other end of a network that is down."""

    away = False

    def heartbeat(self, token: str, activity: str = "", temperature_c: float | None = None) -> bool:
        if self.away:
            raise TransientError("no route to the queue")
        return super().heartbeat(token, activity, temperature_c)


def test_a_worker_that_is_cut_off_for_nearly_a_lease_stops(make_queue: Callable[[], SqliteQueue]) -> None:
    queue = make_queue()
    queue.__class__ = Unreachable
    assert isinstance(queue, Unreachable)
    queue.seen("a", "present")
    queue.put("night", 0, [job("1")])
    lease = queue.claim("a", "w")
    assert lease is not None
    stopped = threading.Event()
    with Heartbeat(queue, lease.token, stopped.set, beat_sec=0.02, lease_sec=0.3) as beat:
        # some beats that are heard, then none
        threading.Event().wait(0.1)
        assert not beat.lost
        queue.away = True
        assert stopped.wait(30)
        assert beat.lost


def test_one_that_is_heard_again_in_time_goes_on(make_queue: Callable[[], SqliteQueue]) -> None:
    queue = make_queue()
    queue.__class__ = Unreachable
    assert isinstance(queue, Unreachable)
    queue.seen("a", "present")
    queue.put("night", 0, [job("1")])
    lease = queue.claim("a", "w")
    assert lease is not None
    stopped = threading.Event()
    with Heartbeat(queue, lease.token, stopped.set, beat_sec=0.02, lease_sec=60) as beat:
        queue.away = True
        threading.Event().wait(0.1)
        queue.away = False
        threading.Event().wait(0.1)
        assert not beat.lost
        assert not stopped.is_set()
