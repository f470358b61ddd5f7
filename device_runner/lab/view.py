"""The lab as it is shown: one word for each device, how far each plan is, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from device_runner.lab.queue import DeviceState, Job, PlanState, Queue

Word = Literal[
    "running", "free", "cooling", "in use", "paused", "draining", "quarantined", "dead", "unauthorised", "unknown"
]  # fmt: skip
#: what was not looked at for so long is not known: never free on an old word
STALE_SEC = 90.0
#: of the jobs that are over, by which the estimates of the others are put right
_LATEST = 100


@dataclass(frozen=True)
class Seen:
    """A device. queued: jobs that it alone can do, and those that others can do too. left_sec: of the former."""

    state: DeviceState
    word: Word
    says: str
    job: Job | None
    queued: int
    shared: int
    left_sec: float


@dataclass(frozen=True)
class Snapshot:
    """left_sec: None where nothing is left, or nobody could do it. is_run: whether a process runs the lab."""

    is_run: bool
    held: str
    devices: Sequence[Seen]
    plans: Sequence[PlanState]
    running: int
    queued: int
    left_sec: float | None


def snapshot(queue: Queue, *, is_run: bool, now: float | None = None) -> Snapshot:
    """Everything at this moment. now: seconds since 1970."""
    now = time.time() if now is None else now
    jobs = queue.jobs()
    running = {job.device: job for job in jobs if job.state == "running"}
    waiting = [job for job in jobs if job.state == "queued"]
    ratio = _ratio(jobs)
    seen = [_seen(state, running.get(state.name), waiting, ratio, now) for state in queue.devices()]
    left = _left_sec(seen, running, waiting, ratio, now)
    return Snapshot(is_run, queue.held(), seen, queue.plans(), len(running), len(waiting), left)


def word_of(state: DeviceState, job: Job | None, now: float) -> tuple[Word, str]:
    """(the word, what is to be said beside it)."""
    if state.presence in ("dead", "unauthorised"):
        was = f" (was at {job.label})" if job is not None else ""
        return ("dead" if state.presence == "dead" else "unauthorised"), state.detail + was
    if job is None and state.hold:
        return state.hold, state.hold_reason
    if job is not None:
        hold = f"{state.hold}, " if state.hold else ""
        return "running", f"{hold}{job.label}: {state.activity}"
    if state.presence == "unknown" or now - max(state.seen_at, state.activity_at) > STALE_SEC:
        return "unknown", "not looked at lately" if state.seen_at else "not looked at yet"
    if state.activity.startswith("waiting"):
        return "cooling", state.activity
    return ("in use", "by somebody else") if state.detail == "in use" else ("free", "")


def _seen(state: DeviceState, job: Job | None, waiting: Sequence[Job], ratio: float, now: float) -> Seen:
    word, says = word_of(state, job, now)
    own = [each for each in waiting if each.pool == (state.name,)]
    shared = sum(state.name in each.pool and len(each.pool) > 1 for each in waiting)
    left = sum(each.estimate_sec for each in own) * ratio
    if job is not None and job.started is not None:
        left += max(0.0, job.estimate_sec * ratio - (now - job.started))
    return Seen(state, word, says, job, len(own), shared, left)


def _ratio(jobs: Sequence[Job]) -> float:
    """How long jobs took over how long they were thought to take."""
    over = [job for job in jobs if job.state == "done" and job.started is not None and job.ended is not None][-_LATEST:]
    thought = sum(job.estimate_sec for job in over)
    took = sum(job.ended - job.started for job in over if job.started is not None and job.ended is not None)
    return took / thought if thought else 1.0


def _left_sec(
    seen: Sequence[Seen], running: Mapping[str, Job], waiting: Sequence[Job], ratio: float, now: float
) -> float | None:
    """Until the last device is done: its own work, and the shared work spread over those that can do any."""
    able = [each for each in seen if each.word in ("running", "free", "cooling", "in use")]
    if not able or not (waiting or running):
        return None
    names = {each.state.name for each in able}
    shared = sum(job.estimate_sec for job in waiting if len(job.pool) > 1 and names & set(job.pool)) * ratio
    own = [each.left_sec for each in able]
    return max(max(own), (sum(own) + shared) / len(able))


def as_json(shown: Snapshot) -> dict[str, Any]:
    """For machines. Times in seconds, instants in seconds since 1970."""
    return {
        "is_run": shown.is_run, "held": shown.held, "running": shown.running, "queued": shown.queued,
        "left_sec": shown.left_sec,
        "devices": [
            {
                "name": each.state.name, "state": each.word, "says": each.says, "host": each.state.host,
                "seen_at": each.state.seen_at, "hold": each.state.hold, "hold_by": each.state.hold_by,
                "hold_reason": each.state.hold_reason, "temperature_c": each.state.temperature_c,
                "job": each.job.id if each.job is not None else None,
                "experiment": each.job.experiment if each.job is not None else None,
                "queued": each.queued, "shared": each.shared, "left_sec": each.left_sec,
            }
            for each in shown.devices
        ],
        "plans": [asdict(plan) for plan in shown.plans],
    }  # fmt: skip


def duration(seconds: float | None) -> str:
    """For people: 45 s, 12 min, 3.5 h."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
