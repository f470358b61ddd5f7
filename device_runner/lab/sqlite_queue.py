"""The lab's queue in one SQLite file. See queue.Queue for what each method is; how is in the files that it calls."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from device_runner import experiment
from device_runner.lab import choosing, ending, holding, judging, listing, putting, telling
from device_runner.lab.database import Database, share
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

#: a worker's word is good for so long; it gives it anew every BEAT_SEC
LEASE_SEC, BEAT_SEC = 30.0, 5.0
_CLAIM = """
UPDATE job SET state = 'running', device = ?, experiment = ?, worker = ?, token = ?, lease_until = ?, claimed = ?,
started = CASE WHEN ? THEN coalesce(started, ?) ELSE ? END, charged_sec = estimate_sec WHERE id = ?
"""


class SqliteQueue:
    """clock: seconds since 1970; a simulation has its own. One object is one connection; threads that share it take turns."""

    def __init__(
        self, file: Path, *, clock: Callable[[], float] = time.time, lease_sec: float = LEASE_SEC,
        new_experiment: Callable[[], str] = experiment.new_id,
    ) -> None:  # fmt: skip
        self._database, self._clock, self._lease_sec, self._new = Database(file), clock, lease_sec, new_experiment
        share(file)

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def _writing(self) -> Iterator[tuple[sqlite3.Connection, float]]:
        with self._database.writing() as db:
            # within the transaction: who waited for others reads the clock after them
            yield db, self._clock()

    def put(self, plan: str, priority: int, jobs: Sequence[Wanted], *, again: bool = False) -> Put:
        with self._writing() as (db, now):
            return putting.put(db, now, plan, priority, jobs, again=again)

    def withdraw(self, plan: str) -> int:
        with self._writing() as (db, now):
            return putting.withdraw(db, now, plan)

    def claim(self, device: str, worker: str) -> Lease | None:
        with self._writing() as (db, now):
            ending.sweep(db, now)
            row = choosing.choose(db, device, now) if choosing.free(db, device) else None
            if row is None:
                return None
            # what is on disk is gone on with where it was begun; on another device it is another experiment
            goes_on = bool(row["experiment"]) and row["device"] == device
            identifier = row["experiment"] if goes_on else self._new()
            token = secrets.token_hex(12)
            values = (device, identifier, worker, token, now + self._lease_sec, now, goes_on, now, now, row["id"])
            db.execute(_CLAIM, values)
            # at once, so that twenty devices that ask in the same second do not all take from the same plan
            db.execute("UPDATE plan SET served_sec = served_sec + ? WHERE name = ?", (row["estimate_sec"], row["plan"]))
            telling.note(db, now, device, "starting")
            return Lease(
                row["id"], token, device, identifier, row["plan"], row["label"], tuple(json.loads(row["artifacts"])),
                row["tries"], json.loads(row["work"]), "" if goes_on else row["experiment"],
            )  # fmt: skip

    def claimable(self, device: str) -> bool:
        with self._database.reading() as db:
            return choosing.free(db, device) and choosing.choose(db, device, self._clock()) is not None

    def heartbeat(self, token: str, activity: str = "", temperature_c: float | None = None) -> bool:
        with self._writing() as (db, now):
            row = ending.leased(db, token)
            db.execute("UPDATE job SET lease_until = ? WHERE id = ?", (now + self._lease_sec, row["id"]))
            telling.note(db, now, row["device"], activity, temperature_c)
            held = db.execute(
                "SELECT lab.hold, device.hold FROM lab, device WHERE device.name = ?", (row["device"],)
            ).fetchone()
            return held is None or "paused" not in tuple(held)

    def finish(self, token: str, runs: Sequence[str], outcomes: Sequence[Outcome]) -> None:
        with self._writing() as (db, now):
            ending.finish(db, now, token, runs, outcomes)

    def fail(self, token: str, trouble: Trouble, reason: str) -> None:
        with self._writing() as (db, now):
            ending.fail(db, now, token, trouble, reason)

    def release(self, token: str) -> None:
        with self._writing() as (db, now):
            row = db.execute("SELECT * FROM job WHERE token = ? AND state = 'running'", (token,)).fetchone()
            if row is not None:
                ending.free(db, now, row)

    def worker_gone(self, worker: str, *, crashed: bool) -> int:
        with self._writing() as (db, now):
            found = db.execute("SELECT * FROM job WHERE state = 'running' AND worker = ?", (worker,)).fetchall()
            for row in found:
                if crashed:
                    ending.crash(db, now, row, "its worker died")
                else:
                    ending.free(db, now, row)
            return len(found)

    def sweep(self) -> int:
        with self._writing() as (db, now):
            return ending.sweep(db, now)

    def seen(self, device: str, presence: Presence, detail: str = "", host: str = "") -> None:
        with self._writing() as (db, now):
            holding.seen(db, now, device, presence, detail, host)

    def doing(self, device: str, activity: str, temperature_c: float | None = None) -> None:
        with self._writing() as (db, now):
            telling.note(db, now, device, activity, temperature_c)

    def hold(self, device: str, kind: Hold, reason: str = "", by: Literal["lab", "user"] = "user") -> None:
        with self._writing() as (db, now):
            if device:
                holding.hold(db, now, device, kind, reason, by)
            else:
                holding.hold_all(db, now, kind, reason)

    def held(self) -> Hold:
        with self._database.reading() as db:
            (kind,) = db.execute("SELECT hold FROM lab").fetchone()
            found: Hold = kind
            return found

    def checked(self, device: str, trouble: str) -> None:
        with self._writing() as (db, now):
            holding.checked(db, now, device, trouble)

    def jobs(self, plan: str | None = None, states: Sequence[str] = ()) -> list[Job]:
        with self._database.reading() as db:
            return listing.jobs(db, plan, states)

    def devices(self) -> list[DeviceState]:
        with self._database.reading() as db:
            return listing.devices(db)

    def plans(self) -> list[PlanState]:
        with self._database.reading() as db:
            return listing.plans(db)

    def verdicts(self) -> list[tuple[str, str, str, str]]:
        with self._database.reading() as db:
            return judging.verdicts(db)

    def events(self, after: int = 0, most: int = 1000) -> list[Event]:
        with self._database.reading() as db:
            return listing.events(db, after, most)
