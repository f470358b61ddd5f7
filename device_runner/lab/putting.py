"""Plans put into the queue and taken out of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from device_runner.lab.queue import Put, Wanted
from device_runner.lab.telling import tell

_LEAST_SERVED = """
SELECT min(served_sec) FROM plan WHERE name != :plan AND EXISTS
(SELECT 1 FROM job WHERE job.plan = plan.name AND state IN ('queued', 'running'))
"""
#: a plan that had long nothing to do does not come back with all of that time to its credit
_COME_BACK = """
UPDATE plan SET served_sec = max(served_sec, :least) WHERE name = :plan AND NOT EXISTS
(SELECT 1 FROM job WHERE plan = :plan AND state IN ('queued', 'running'))
"""
_PLAN = "INSERT INTO plan VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET priority = excluded.priority"
_JOB = """
INSERT INTO job (key, plan, label, pool, priority, estimate_sec, artifacts, work, state)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'queued')
"""


def put(db: sqlite3.Connection, now: float, plan: str, priority: int, jobs: Sequence[Wanted], *, again: bool) -> Put:
    """See queue.Queue.put."""
    least = db.execute(_LEAST_SERVED, {"plan": plan}).fetchone()[0] or 0.0
    db.execute(_PLAN, (plan, priority, least))
    db.execute(_COME_BACK, {"plan": plan, "least": least})
    there = {row["key"]: row for row in db.execute("SELECT id, key, state FROM job WHERE plan = ?", (plan,))}
    pools: dict[tuple[str, ...], int] = {}
    counts = {"added": 0, "waiting": 0, "over": 0}
    for job in jobs:
        if job.pool not in pools:
            pools[job.pool] = _pool(db, job.pool)
        state = there[job.key]["state"] if job.key in there else None
        if state in ("queued", "running"):
            counts["waiting"] += 1
            db.execute("UPDATE job SET priority = ? WHERE id = ?", (job.priority, there[job.key]["id"]))
        elif state in ("done", "failed") and not again:
            counts["over"] += 1
        else:
            counts["added"] += 1
            _insert(db, plan, job, pools[job.pool])
    wanted = {job.key for job in jobs}
    gone = [row["id"] for key, row in there.items() if key not in wanted and row["state"] in ("queued", "running")]
    for identifier in gone:
        _take_out(db, now, identifier)
    if counts["added"] or gone:
        tell(db, now, "", f"{plan}: {counts['added']} jobs put in" + (f", {len(gone)} withdrawn" if gone else ""))
    return Put(counts["added"], counts["waiting"], counts["over"], len(gone))


def withdraw(db: sqlite3.Connection, now: float, plan: str) -> int:
    """See queue.Queue.withdraw."""
    found = db.execute("SELECT id FROM job WHERE plan = ? AND state IN ('queued', 'running')", (plan,)).fetchall()
    for row in found:
        _take_out(db, now, row["id"])
    if found:
        tell(db, now, "", f"{plan}: {len(found)} jobs withdrawn")
    return len(found)


def _insert(db: sqlite3.Connection, plan: str, job: Wanted, pool: int) -> None:
    # a key that is over, or was withdrawn, begins anew under a new id: what it came to then stays in the runs themselves
    db.execute("DELETE FROM shunned WHERE job IN (SELECT id FROM job WHERE plan = ? AND key = ?)", (plan, job.key))
    db.execute("DELETE FROM job WHERE plan = ? AND key = ?", (plan, job.key))
    values = (job.key, plan, job.label, pool, job.priority, job.estimate_sec, json.dumps(job.artifacts), json.dumps(job.work))
    db.execute(_JOB, values)


def _take_out(db: sqlite3.Connection, now: float, job: int) -> None:
    # without its token, a worker that has it is told so by its next heartbeat
    db.execute("UPDATE job SET state = 'withdrawn', ended = ?, token = NULL, lease_until = NULL WHERE id = ?", (now, job))


def _pool(db: sqlite3.Connection, devices: tuple[str, ...]) -> int:
    """The id of the pool of these devices, made when it is new."""
    key = json.dumps(sorted(devices))
    found = db.execute("SELECT id FROM pool WHERE devices = ?", (key,)).fetchone()
    if found is not None:
        return int(found["id"])
    cursor = db.execute("INSERT INTO pool (devices, size) VALUES (?, ?)", (key, len(devices)))
    assert cursor.lastrowid is not None
    db.executemany("INSERT INTO member VALUES (?, ?)", [(device, cursor.lastrowid) for device in devices])
    return cursor.lastrowid
