"""The queue's file: SQLite with a write-ahead log, its tables, and transactions that are whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgedeploy.errors import TransientError, UserError

_VERSION = 1
#: others write for milliseconds; one that takes longer is stuck
_WAIT_SEC = 30.0
_TABLES = """
CREATE TABLE lab (hold TEXT NOT NULL, reason TEXT NOT NULL);
INSERT INTO lab VALUES ('', '');
CREATE TABLE plan (name TEXT PRIMARY KEY, priority INTEGER NOT NULL, served_sec REAL NOT NULL);
CREATE TABLE pool (id INTEGER PRIMARY KEY, devices TEXT NOT NULL UNIQUE, size INTEGER NOT NULL);
CREATE TABLE member (device TEXT NOT NULL, pool INTEGER NOT NULL, PRIMARY KEY (device, pool)) WITHOUT ROWID;
CREATE TABLE job (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, plan TEXT NOT NULL, label TEXT NOT NULL, pool INTEGER NOT NULL,
  priority INTEGER NOT NULL, estimate_sec REAL NOT NULL, artifacts TEXT NOT NULL, work TEXT NOT NULL, state TEXT NOT NULL,
  -- the device that has it or had it last, and until when no other one may go on with it
  device TEXT NOT NULL DEFAULT '', bound_until REAL NOT NULL DEFAULT 0, not_before REAL NOT NULL DEFAULT 0,
  experiment TEXT NOT NULL DEFAULT '', worker TEXT NOT NULL DEFAULT '', token TEXT UNIQUE, lease_until REAL,
  tries INTEGER NOT NULL DEFAULT 0, crashes INTEGER NOT NULL DEFAULT 0,
  charged_sec REAL NOT NULL DEFAULT 0, claimed REAL, started REAL, ended REAL, valid INTEGER,
  runs TEXT NOT NULL DEFAULT '[]', reason TEXT NOT NULL DEFAULT '', UNIQUE (plan, key)
);
CREATE INDEX job_queued ON job (pool, priority DESC, plan, estimate_sec DESC, id) WHERE state = 'queued';
-- one run per device at a time, whatever else goes wrong
CREATE UNIQUE INDEX job_running ON job (device) WHERE state = 'running';
CREATE INDEX job_plan ON job (plan, state);
-- devices that a job is not to be tried on again
CREATE TABLE shunned (job INTEGER NOT NULL, device TEXT NOT NULL, PRIMARY KEY (job, device)) WITHOUT ROWID;
CREATE TABLE device (
  name TEXT PRIMARY KEY, host TEXT NOT NULL DEFAULT '', presence TEXT NOT NULL DEFAULT 'unknown',
  detail TEXT NOT NULL DEFAULT '', seen_at REAL NOT NULL DEFAULT 0, hold TEXT NOT NULL DEFAULT '',
  hold_by TEXT NOT NULL DEFAULT '', hold_reason TEXT NOT NULL DEFAULT '', held_at REAL NOT NULL DEFAULT 0,
  checks INTEGER NOT NULL DEFAULT 0, forgiven INTEGER NOT NULL DEFAULT 0, activity TEXT NOT NULL DEFAULT '',
  activity_at REAL NOT NULL DEFAULT 0, temperature_c REAL
);
CREATE TABLE outcome (
  id INTEGER PRIMARY KEY, at REAL NOT NULL, job INTEGER NOT NULL, attempt TEXT NOT NULL, device TEXT NOT NULL,
  artifact TEXT NOT NULL, ok INTEGER NOT NULL, trouble TEXT NOT NULL, text TEXT NOT NULL
);
CREATE INDEX outcome_device ON outcome (device, id);
CREATE INDEX outcome_artifact ON outcome (artifact, id);
CREATE TABLE event (id INTEGER PRIMARY KEY, at REAL NOT NULL, device TEXT NOT NULL, text TEXT NOT NULL);
"""


class Database:
    """One connection, for one thread at a time; every process, and every thread that is to wait for no other, opens its own."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._alone = threading.RLock()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(file, timeout=_WAIT_SEC, isolation_level=None, check_same_thread=False)
            self._connection.row_factory = sqlite3.Row
            self._prepare()
        except sqlite3.DatabaseError as error:
            raise UserError(f"{file}: is not a lab's queue that can be used ({error}); is it on a local disk?") from None
        except OSError as error:
            raise UserError(f"{file.parent}: no place for a lab's queue ({error.strerror}); name another with --lab") from None

    def _prepare(self) -> None:
        connection = self._connection
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            _to_wal(connection)
        # a claim that a power loss undid would be given again under another experiment, and be measured twice
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _statements(_TABLES):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {_VERSION}")
            elif version != _VERSION:
                raise UserError(f"{self.file}: is of another version of edgedeploy ({version}); finish it there, or remove it")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that excludes every other writer. Raises TransientError when the disk is full or busy for long."""
        with self._alone:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except sqlite3.OperationalError as error:
                self._back()
                raise TransientError(f"{self.file}: cannot be written now ({error})") from None
            except BaseException:
                self._back()
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees one state of everything."""
        with self._alone:
            try:
                self._connection.execute("BEGIN")
                yield self._connection
            except sqlite3.OperationalError as error:
                raise TransientError(f"{self.file}: cannot be read now ({error})") from None
            finally:
                self._back()

    def _back(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def close(self) -> None:
        with self._alone:
            self._connection.close()


def _to_wal(connection: sqlite3.Connection) -> None:
    # two processes that make the file at once: the later one is told that it is busy, and not made to wait
    until = time.monotonic() + _WAIT_SEC
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def share(file: Path) -> None:
    """Let a directory's group use the queue, where the directory lets its group write."""
    try:
        if file.parent.stat().st_mode & 0o020:
            for each in (file, file.with_name(file.name + "-wal"), file.with_name(file.name + "-shm")):
                if each.exists() and each.stat().st_uid == os.geteuid():
                    each.chmod(0o660)
    except OSError:
        return


def _statements(script: str) -> list[str]:
    return [statement for statement in script.split(";\n") if statement.strip()]
