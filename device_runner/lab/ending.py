"""How a job comes to its end, or back into the queue: done, failed, stopped, its worker dead."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from device_runner.lab import holding, judging
from device_runner.lab.queue import LeaseLost, Outcome, Trouble
from device_runner.lab.telling import MOST_TEXT, note, tell

#: a device that went away during a job has so long to come back and go on with it, before another one of its pool may start it
BOUND_SEC = 120.0
#: begun so often without an end by the device's doing, a job is given up
MOST_TRIES = 6
#: where it is not clear whose doing it was
_MOST_UNCLEAR = 2
#: a worker that dies with a job has it done again once; a second death is taken for the job's own doing
MOST_CRASHES = 2
#: until a device that somebody else uses is asked for again
_BUSY_SEC = 10.0
_OUTCOME = "INSERT INTO outcome (at, job, attempt, device, artifact, ok, trouble, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_OTHERS = """
SELECT 1 FROM member JOIN device ON device.name = member.device
WHERE pool = ? AND device != ? AND presence = 'present' AND hold = '' LIMIT 1
"""


def leased(db: sqlite3.Connection, token: str) -> sqlite3.Row:
    """The job of a lease. Raises LeaseLost when it is nobody's, or somebody else's."""
    row: sqlite3.Row | None = db.execute("SELECT * FROM job WHERE token = ? AND state = 'running'", (token,)).fetchone()
    if row is None:
        raise LeaseLost("the job's lease has ended, or it was withdrawn")
    return row


def finish(db: sqlite3.Connection, now: float, token: str, runs: Sequence[str], outcomes: Sequence[Outcome]) -> None:
    """See queue.Queue.finish."""
    row = leased(db, token)
    _enter(db, now, row, outcomes)
    bad = [outcome for outcome in outcomes if not outcome.ok]
    known = dict.fromkeys([*json.loads(row["runs"]), *runs])
    db.execute("UPDATE job SET runs = ? WHERE id = ?", (json.dumps(list(known)), row["id"]))
    reason = "; ".join(dict.fromkeys(outcome.text for outcome in bad))
    again = _again(db, row, bad)
    if again:
        # committed and not valid: another try is another experiment
        _end(db, now, row, "queued", f"tried again {again}: {reason}", tries=row["tries"] + 1, experiment="", bound_until=0.0)
    else:
        _end(db, now, row, "done", reason, valid=not bad)


def _again(db: sqlite3.Connection, row: sqlite3.Row, bad: Sequence[Outcome]) -> str:
    """Where runs that are not valid are made again, once: elsewhere, or here when the device is to blame. "" when not."""
    if not bad or row["tries"] >= 1:
        return ""
    if _others(db, row):
        _shun(db, row)
        return "on another device, which tells whose trouble it is"
    return "since the device was in trouble" if all(outcome.trouble == "device" for outcome in bad) else ""


def _others(db: sqlite3.Connection, row: sqlite3.Row) -> bool:
    """Whether another device could try the job."""
    return db.execute(_OTHERS, (row["pool"], row["device"])).fetchone() is not None


def _shun(db: sqlite3.Connection, row: sqlite3.Row) -> None:
    db.execute("INSERT OR IGNORE INTO shunned VALUES (?, ?)", (row["id"], row["device"]))


def fail(db: sqlite3.Connection, now: float, token: str, trouble: Trouble, reason: str) -> None:
    """See queue.Queue.fail."""
    row = leased(db, token)
    reason = reason[:MOST_TEXT]
    if trouble == "busy":
        _end(db, now, row, "queued", reason, not_before=now + _BUSY_SEC)
        return
    tries = row["tries"] + 1
    if trouble == "device":
        _enter(db, now, row, [Outcome("", False, trouble, reason)])
    elif trouble == "unclear":
        _enter(db, now, row, [Outcome(artifact, False, trouble, reason) for artifact in json.loads(row["artifacts"])])
    # of a job that cannot be, nothing is learnt about the device or the artifacts, and it is not tried again
    if tries >= {"device": MOST_TRIES, "unclear": _MOST_UNCLEAR}.get(trouble, 0):
        _end(db, now, row, "failed", reason if trouble == "job" else f"tried {tries} times: {reason}", tries=tries)
    elif trouble == "unclear" and _others(db, row):
        _shun(db, row)
        _end(db, now, row, "queued", reason, tries=tries, experiment="")
    else:
        _end(db, now, row, "queued", reason, tries=tries, bound_until=_bound_until(db, now, row), not_before=now + 2.0**tries)


def _bound_until(db: sqlite3.Connection, now: float, row: sqlite3.Row) -> float:
    """How long a job waits for its device: not at all where that is gone (its launch has waited) and another is there."""
    return now if _is_dead(db, row["device"]) and _others(db, row) else now + BOUND_SEC


def free(db: sqlite3.Connection, now: float, row: sqlite3.Row, **changed: Any) -> None:
    """Back into the queue, to be gone on with by its device; nothing is counted."""
    _end(db, now, row, "queued", row["reason"], bound_until=now + BOUND_SEC, **changed)


def crash(db: sqlite3.Connection, now: float, row: sqlite3.Row, why: str) -> None:
    """Its worker is no more: done again, once."""
    crashes = row["crashes"] + 1
    if crashes >= MOST_CRASHES:
        _end(db, now, row, "failed", f"{why}, {crashes} times with this job", crashes=crashes)
        return
    tell(db, now, row["device"], f"{row['label']}: {why}; done again")
    free(db, now, row, crashes=crashes)


def sweep(db: sqlite3.Connection, now: float) -> int:
    """See queue.Queue.sweep."""
    late = db.execute("SELECT * FROM job WHERE state = 'running' AND lease_until < ?", (now,)).fetchall()
    for row in late:
        if _is_dead(db, row["device"]):
            _cut_off(db, now, row)
        else:
            crash(db, now, row, "its worker was not heard of any more")
    return len(late)


def _is_dead(db: sqlite3.Connection, device: str) -> bool:
    return db.execute("SELECT 1 FROM device WHERE name = ? AND presence = 'dead'", (device,)).fetchone() is not None


def _cut_off(db: sqlite3.Connection, now: float, row: sqlite3.Row) -> None:
    """Neither worker nor device was heard of for a lease: their host is gone, not by the job's doing. Others may begin it."""
    reason, tries = "its device and its worker went away", row["tries"] + 1
    if tries >= MOST_TRIES:
        _end(db, now, row, "failed", f"tried {tries} times: {reason}", tries=tries)
    else:
        _end(db, now, row, "queued", reason, tries=tries, bound_until=now)


def _end(db: sqlite3.Connection, now: float, row: sqlite3.Row, state: str, reason: str, **changed: Any) -> None:
    """The job is nobody's any more. `changed`: columns beside those that always do."""
    over = state in ("done", "failed")
    values: Mapping[str, Any] = {
        "state": state, "reason": reason[:MOST_TEXT], "token": None, "lease_until": None, "worker": "",
        "ended": now if over else None, **changed,
    }  # fmt: skip
    assignments = ", ".join(f"{name} = ?" for name in values)
    db.execute(f"UPDATE job SET {assignments} WHERE id = ?", (*values.values(), row["id"]))  # noqa: S608 - names of ours
    # what the plan was charged when the job was claimed was an estimate
    spent = now - (row["claimed"] or now)
    db.execute("UPDATE plan SET served_sec = served_sec + ? WHERE name = ?", (spent - row["charged_sec"], row["plan"]))
    note(db, now, row["device"], "")
    said = "done, not valid" if state == "done" and not changed.get("valid") else state
    if over or (reason and reason != row["reason"]):
        tell(db, now, row["device"], f"{row['label']}: {said}" + (f": {reason}" if reason else ""))


def _enter(db: sqlite3.Connection, now: float, row: sqlite3.Row, outcomes: Sequence[Outcome]) -> None:
    which = (now, row["id"], row["token"], row["device"])
    lines = [(*which, each.artifact, each.ok, each.trouble, each.text[:MOST_TEXT]) for each in outcomes]
    db.executemany(_OUTCOME, lines)
    if all(outcome.ok for outcome in outcomes) and not _doubted(db, outcomes):
        return
    for device, reason in judging.to_quarantine(db, row["device"], tuple(outcome.artifact for outcome in outcomes)):
        holding.hold(db, now, device, "quarantined", reason, "lab")


def _doubted(db: sqlite3.Connection, outcomes: Sequence[Outcome]) -> bool:
    """Whether one of the artifacts has failed anywhere, so that its success says something of a device."""
    query = "SELECT 1 FROM outcome WHERE artifact = ? AND NOT ok LIMIT 1"
    return any(db.execute(query, (outcome.artifact,)).fetchone() for outcome in outcomes)
