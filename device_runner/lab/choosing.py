"""Which job a device gets next.

What was begun on it comes first: a launch of it may still run there. Higher priority next. Then the plan that had the least
device time, so that a large plan does not keep a small one waiting. In a plan: not what just failed here, if there is anything
else, so that device and artifact are told apart; what no other device can do before what many can, so that the shared work
fills the gaps at the end; of shared work the longest first.

Fair to the plans only where that costs nothing: a device with as much work of its own left as all that can share work have on
average does that first, whichever plan's it is. Else it would do shared work for one plan while its own for another waits, and
be at that alone when all the others have ended.
"""

from __future__ import annotations

import sqlite3

_CHOICE = """
SELECT job.* FROM member
JOIN job ON job.pool = member.pool AND job.state = 'queued'
JOIN plan ON plan.name = job.plan
JOIN pool ON pool.id = job.pool
WHERE member.device = :device AND job.not_before <= :now
  AND (job.device = :device OR job.bound_until <= :now)
  AND NOT EXISTS (SELECT 1 FROM shunned WHERE shunned.job = job.id AND shunned.device = :device)
ORDER BY (job.device = :device AND job.experiment != '') DESC, job.priority DESC, (:pressed AND pool.size = 1) DESC,
  plan.served_sec, job.plan, job.artifacts = :suspect, pool.size,
  CASE WHEN pool.size > 1 THEN -job.estimate_sec ELSE 0 END, job.id
LIMIT 1
"""
_SUSPECT = """
SELECT job.artifacts FROM outcome JOIN job ON job.id = outcome.job
WHERE outcome.device = ? AND outcome.id = (SELECT max(id) FROM outcome WHERE device = ?) AND NOT outcome.ok
"""
#: what is queued, in seconds: for the device alone; for it and others; for each of these alone; and how many these are
_LOAD = """
WITH waiting AS (SELECT pool, sum(estimate_sec) AS sec FROM job WHERE state = 'queued' GROUP BY pool),
shared AS (
  SELECT waiting.pool, sec FROM waiting JOIN pool ON pool.id = waiting.pool AND pool.size > 1
  JOIN member ON member.pool = waiting.pool AND member.device = :device),
able AS (
  SELECT DISTINCT member.device FROM shared JOIN member USING (pool)
  JOIN device ON device.name = member.device AND presence = 'present' AND hold = ''),
own AS (
  SELECT member.device, sec FROM waiting JOIN pool ON pool.id = waiting.pool AND pool.size = 1
  JOIN member USING (pool) WHERE member.device IN able)
SELECT (SELECT sec FROM own WHERE device = :device) AS own, (SELECT sum(sec) FROM own) AS owns,
  (SELECT sum(sec) FROM shared) AS shared, (SELECT count(*) FROM able) AS able
"""
#: of that: estimates are not exact
_PRESSED = 0.9


def _pressed(connection: sqlite3.Connection, device: str) -> bool:
    """Whether what it alone can do keeps the device as long as all the work, spread evenly, keeps those that can share it."""
    load = connection.execute(_LOAD, {"device": device}).fetchone()
    if not load["own"] or not load["shared"]:
        return False
    return bool(load["own"] >= _PRESSED * (load["owns"] + load["shared"]) / load["able"])


def choose(connection: sqlite3.Connection, device: str, now: float) -> sqlite3.Row | None:
    """The job's row; None when nothing that waits is for this device. `now`: seconds since 1970."""
    failed = connection.execute(_SUSPECT, (device, device)).fetchone()
    suspect = failed["artifacts"] if failed else ""
    values = {"device": device, "now": now, "suspect": suspect, "pressed": _pressed(connection, device)}
    row: sqlite3.Row | None = connection.execute(_CHOICE, values).fetchone()
    return row


def free(connection: sqlite3.Connection, device: str) -> bool:
    """Whether the device may get a job at all: it is there, nobody holds it, and it has none."""
    (held,) = connection.execute("SELECT hold FROM lab").fetchone()
    found = connection.execute("SELECT presence, hold FROM device WHERE name = ?", (device,)).fetchone()
    if held or found is None or found["hold"] or found["presence"] != "present":
        return False
    return connection.execute("SELECT 1 FROM job WHERE state = 'running' AND device = ?", (device,)).fetchone() is None
