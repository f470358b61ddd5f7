"""The lab's queue from any host of the cluster. See queue.Queue for what each method is."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Literal

from device_runner.lab.cluster.line import Line
from device_runner.lab.queue import (
    DeviceState,
    Event,
    Hold,
    Job,
    Lease,
    Outcome,
    PlanState,
    Presence,
    Put,
    Trouble,
    Wanted,
)
from edgedeploy.errors import EdgedeployError

#: how a job ended is worth waiting for the head; shorter than what a lease is good for
_PATIENCE_SEC = 20.0
_LISTING_SEC = 15.0


class RemoteQueue:
    """host: this host's name in the cluster."""

    def __init__(self, line: Line, host: str = "") -> None:
        self._line, self._host = line, host

    def put(self, plan: str, priority: int, jobs: Sequence[Wanted], *, again: bool = False) -> Put:
        found: Put = self._line.queue("put", plan, priority, list(jobs), again=again, patience_sec=_LISTING_SEC)
        return found

    def withdraw(self, plan: str) -> int:
        return int(self._line.queue("withdraw", plan))

    def claim(self, device: str, worker: str) -> Lease | None:
        def forget() -> None:
            # an answer that was lost on the way left a lease that nobody knows of
            with contextlib.suppress(EdgedeployError):
                self._line.queue("worker_gone", worker, crashed=False)

        found: Lease | None = self._line.queue("claim", device, worker, patience_sec=_LISTING_SEC, again=forget)
        return found

    def claimable(self, device: str) -> bool:
        return bool(self._line.queue("claimable", device, patience_sec=_LISTING_SEC))

    def heartbeat(self, token: str, activity: str = "", temperature_c: float | None = None) -> bool:
        return bool(self._line.queue("heartbeat", token, activity, temperature_c))

    def finish(self, token: str, runs: Sequence[str], outcomes: Sequence[Outcome]) -> None:
        self._line.queue("finish", token, list(runs), list(outcomes), patience_sec=_PATIENCE_SEC)

    def fail(self, token: str, trouble: Trouble, reason: str) -> None:
        self._line.queue("fail", token, trouble, reason, patience_sec=_PATIENCE_SEC)

    def release(self, token: str) -> None:
        self._line.queue("release", token)

    def worker_gone(self, worker: str, *, crashed: bool) -> int:
        return int(self._line.queue("worker_gone", worker, crashed=crashed))

    def sweep(self) -> int:
        return int(self._line.queue("sweep"))

    def seen(self, device: str, presence: Presence, detail: str = "", host: str = "") -> None:
        self._line.queue("seen", device, presence, detail, host or self._host)

    def doing(self, device: str, activity: str, temperature_c: float | None = None) -> None:
        self._line.queue("doing", device, activity, temperature_c)

    def hold(self, device: str, kind: Hold, reason: str = "", by: Literal["lab", "user"] = "user") -> None:
        self._line.queue("hold", device, kind, reason, by)

    def held(self) -> Hold:
        found: Hold = self._line.queue("held")
        return found

    def checked(self, device: str, trouble: str) -> None:
        self._line.queue("checked", device, trouble)

    def jobs(self, plan: str | None = None, states: Sequence[str] = ()) -> list[Job]:
        return self._listed("jobs", plan, list(states))

    def devices(self) -> list[DeviceState]:
        return self._listed("devices")

    def plans(self) -> list[PlanState]:
        return self._listed("plans")

    def verdicts(self) -> list[tuple[str, str, str, str]]:
        return self._listed("verdicts")

    def events(self, after: int = 0, most: int = 1000) -> list[Event]:
        return self._listed("events", after, most)

    def _listed(self, method: str, *arguments: Any) -> list[Any]:
        found: list[Any] = self._line.queue(method, *arguments, patience_sec=_LISTING_SEC)
        return found
