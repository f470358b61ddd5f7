"""The lab's queue as everything else sees it: plain values in, plain values out, so that it may be in another process.

`sqlite_queue.SqliteQueue` is the one there is. Another owner (an actor on a cluster's head) has these methods and passes them
on to one; see docs/lab.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from edgedeploy.errors import EdgedeployError

JobState = Literal["queued", "running", "done", "failed", "withdrawn"]
#: "dead": nothing answers there now; "unknown": not looked at yet, or not lately
Presence = Literal["present", "dead", "unauthorised", "unknown"]
Hold = Literal["", "paused", "draining", "quarantined"]
#: whose trouble a failure is, as far as it can be said at once: the device's own; somebody else has the device; the job asks
#: for what cannot be; or "unclear", which the other combinations of device and artifact decide (see blame.py)
Trouble = Literal["", "device", "busy", "job", "unclear"]


class LeaseLost(EdgedeployError):
    """The job is not the worker's any more: its lease ended, or it was withdrawn. What it does now counts for nothing."""


@dataclass(frozen=True)
class Wanted:
    """A job as it is put in: an experiment of some artifacts on one device.

    key: the same for the same work, so that it is not put in twice. pool: the devices that may do it. work: JSON, for whoever
    performs it; the queue does not look into it. artifacts: digests.
    """

    key: str
    label: str
    pool: tuple[str, ...]
    priority: int
    estimate_sec: float
    artifacts: tuple[str, ...]
    work: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Put:
    """What came of putting a plan in, in jobs. `over`: done or failed before."""

    added: int
    waiting: int
    over: int
    withdrawn: int


@dataclass(frozen=True)
class Lease:
    """A job that is a worker's until it says how it ended, or its heartbeats stop. `experiment` is where its runs go.

    The same experiment comes with the job again after a crash, so that what is on disk is gone on with. tries: begun before.
    begun: an experiment that another device had begun for it; "" for none. Its last word may not have reached the queue.
    """

    job: int
    token: str
    device: str
    experiment: str
    plan: str
    label: str
    artifacts: tuple[str, ...]
    tries: int
    work: Mapping[str, Any]
    begun: str = ""


@dataclass(frozen=True)
class Outcome:
    """How an artifact did on a device. artifact "" stands for all of the job: it came to nothing before any was tried."""

    artifact: str
    ok: bool
    trouble: Trouble = ""
    text: str = ""


@dataclass(frozen=True)
class Job:
    """A job as it stands. Times in seconds since 1970, None where that has not come. valid: its runs, None until they are."""

    id: int
    key: str
    plan: str
    label: str
    pool: tuple[str, ...]
    priority: int
    estimate_sec: float
    state: JobState
    device: str
    experiment: str
    worker: str
    tries: int
    crashes: int
    lease_until: float | None
    started: float | None
    ended: float | None
    valid: bool | None
    runs: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class DeviceState:
    """A device as the lab knows it. seen_at, activity_at, held_at: seconds since 1970. job: the one that runs on it."""

    name: str
    host: str
    presence: Presence
    detail: str
    seen_at: float
    hold: Hold
    hold_by: Literal["", "lab", "user"]
    hold_reason: str
    held_at: float
    checks: int
    activity: str
    activity_at: float
    temperature_c: float | None
    job: int | None


@dataclass(frozen=True)
class PlanState:
    """served_sec: device time that it had, by which the lab is fair between plans."""

    name: str
    priority: int
    served_sec: float
    counts: Mapping[str, int]
    not_valid: int


@dataclass(frozen=True)
class Event:
    id: int
    at: float
    device: str
    text: str


class Queue(Protocol):
    """Every method may be called by several processes at once, and is whole or not at all."""

    def put(self, plan: str, priority: int, jobs: Sequence[Wanted], *, again: bool = False) -> Put:
        """Make these the jobs of the plan: what is there stays, what waits and is not among them is withdrawn.

        again: jobs that are over are put in anew.
        """
        ...

    def withdraw(self, plan: str) -> int:
        """Take out what of the plan is not over; what runs is stopped at its next heartbeat. Returns how many."""
        ...

    def claim(self, device: str, worker: str) -> Lease | None:
        """The next job for the device; None when there is none, or the device is held, or not there, or has one already."""
        ...

    def claimable(self, device: str) -> bool:
        """Whether `claim` would give one."""
        ...

    def heartbeat(self, token: str, activity: str = "", temperature_c: float | None = None) -> bool:
        """Keep the lease. False: stop now and `release`. Raises LeaseLost."""
        ...

    def finish(self, token: str, runs: Sequence[str], outcomes: Sequence[Outcome]) -> None:
        """The runs are committed. What follows where some are not valid is the queue's to say. Raises LeaseLost."""
        ...

    def fail(self, token: str, trouble: Trouble, reason: str) -> None:
        """It could not be done. Whether it is tried again, and where, is the queue's to say. Raises LeaseLost."""
        ...

    def release(self, token: str) -> None:
        """Stopped from this side; it goes on later, and nothing is counted. No lease is fine."""
        ...

    def worker_gone(self, worker: str, *, crashed: bool) -> int:
        """End the leases of a worker that is no more. crashed: while its lab lived, so that its job may be at fault."""
        ...

    def sweep(self) -> int:
        """End the leases whose heartbeats stopped."""
        ...

    def seen(self, device: str, presence: Presence, detail: str = "", host: str = "") -> None:
        """What was just found of a device."""
        ...

    def doing(self, device: str, activity: str, temperature_c: float | None = None) -> None:
        """What a device without a job does (it cools down, say)."""
        ...

    def hold(self, device: str, kind: Hold, reason: str = "", by: Literal["lab", "user"] = "user") -> None:
        """Keep a device from work, "" for the whole lab. "" as kind lets it work again and forgets its failures."""
        ...

    def held(self) -> Hold:
        """Whether the whole lab is."""
        ...

    def checked(self, device: str, trouble: str) -> None:
        """How a health check of a quarantined device went: "" lets it back."""
        ...

    def jobs(self, plan: str | None = None, states: Sequence[str] = ()) -> list[Job]:
        """Of a plan, or of all; in these states, or in any."""
        ...

    def devices(self) -> list[DeviceState]: ...

    def plans(self) -> list[PlanState]: ...

    def verdicts(self) -> list[tuple[str, str, str, str]]:
        """(device, artifact, whose trouble, text) of each combination whose last try failed; see blame.py."""
        ...

    def events(self, after: int = 0, most: int = 1000) -> list[Event]:
        """What happened, the oldest first. after: the id of the last that is known."""
        ...
