"""What there is in the queue's file, as plain values."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from device_runner.lab.queue import DeviceState, Event, Job, PlanState


def jobs(db: sqlite3.Connection, plan: str | None, states: Sequence[str]) -> list[Job]:
    """Of a plan, or of all (None); in these states, or in any (none)."""
    conditions = ["plan = ?"] if plan is not None else []
    conditions += [f"state IN ({', '.join('?' * len(states))})"] if states else []
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    values = [*([plan] if plan is not None else []), *states]
    pools = {row["id"]: tuple(json.loads(row["devices"])) for row in db.execute("SELECT * FROM pool")}
    return [
        Job(
            row["id"], row["key"], row["plan"], row["label"], pools[row["pool"]], row["priority"], row["estimate_sec"],
            row["state"], row["device"], row["experiment"], row["worker"], row["tries"], row["crashes"], row["lease_until"],
            row["started"], row["ended"], None if row["valid"] is None else bool(row["valid"]),
            tuple(json.loads(row["runs"])), row["reason"],
        )
        for row in db.execute(f"SELECT * FROM job {where} ORDER BY id", values)  # noqa: S608
    ]  # fmt: skip


def devices(db: sqlite3.Connection) -> list[DeviceState]:
    running = {row["device"]: row["id"] for row in db.execute("SELECT id, device FROM job WHERE state = 'running'")}
    return [
        DeviceState(
            row["name"], row["host"], row["presence"], row["detail"], row["seen_at"], row["hold"], row["hold_by"],
            row["hold_reason"], row["held_at"], row["checks"], row["activity"], row["activity_at"], row["temperature_c"],
            running.get(row["name"]),
        )
        for row in db.execute("SELECT * FROM device ORDER BY name")
    ]  # fmt: skip


def plans(db: sqlite3.Connection) -> list[PlanState]:
    counts: dict[str, dict[str, int]] = {}
    wrong: dict[str, int] = {}
    for row in db.execute("SELECT plan, state, count(*) AS many, sum(valid = 0) AS bad FROM job GROUP BY plan, state"):
        counts.setdefault(row["plan"], {})[row["state"]] = row["many"]
        wrong[row["plan"]] = wrong.get(row["plan"], 0) + (row["bad"] or 0)
    return [
        PlanState(row["name"], row["priority"], row["served_sec"], counts.get(row["name"], {}), wrong.get(row["name"], 0))
        for row in db.execute("SELECT * FROM plan ORDER BY priority DESC, name")
    ]


def events(db: sqlite3.Connection, after: int, most: int) -> list[Event]:
    rows = db.execute("SELECT * FROM event WHERE id > ? ORDER BY id DESC LIMIT ?", (after, most)).fetchall()
    return [Event(row["id"], row["at"], row["device"], row["text"]) for row in reversed(rows)]
