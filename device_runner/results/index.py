"""What `results list` says of every finished run, kept beside the runs so that 20,000 of them are not parsed each time.

Derived and nothing else: `run.json` alone says what there is. An entry counts while its file has the size, time and inode it
was made from; an index that is damaged, of another version or not writable is made anew, or done without.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from device_runner.results.store import Store
from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from edgedeploy.record import RunRecord

FILE = ".index.sqlite"
#: another one is another layout, and the index is made anew
_VERSION = 1
#: another process may be adding what it found
_WAIT_SEC = 5.0


class Entry(NamedTuple):
    """One line of a listing. median_ms is None where there is none."""

    id: str
    experiment: str
    created: str
    subject: str
    operator: str
    runtime: str
    backend: str
    precision: str
    device: str
    threads: int
    valid: bool
    median_ms: float | None


def entry_of(record: RunRecord) -> Entry:
    artifact = record.artifact
    return Entry(
        record.id, record.experiment.id, record.created, artifact.subject, artifact.operator, artifact.runtime,
        artifact.backend, artifact.precision, record.devices[0].name, record.plan.threads, record.valid,
        record.median_ms.estimate if record.median_ms else None,
    )  # fmt: skip


def entries(store: Store) -> tuple[list[Entry], list[str]]:
    """(the finished runs, the oldest first; what is wrong with those that cannot be read). The latter are tried each time."""
    kept = _load(store.root / FILE)
    found: list[Entry] = []
    new: dict[str, tuple[str, Entry]] = {}
    broken: list[str] = []
    stamps = store.stamps()
    for run, stamp in stamps.items():
        known = kept.get(run)
        if known is not None and known[0] == stamp:
            found.append(known[1])
            continue
        try:
            entry = entry_of(store.read(run))
        except UserError as error:
            broken.append(str(error))
            continue
        new[run] = (stamp, entry)
        found.append(entry)
    gone = kept.keys() - stamps.keys()
    if new or gone:
        _save(store.root / FILE, new, gone)
    return found, broken


def _open(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=_WAIT_SEC, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def _load(file: Path) -> dict[str, tuple[str, Entry]]:
    """run -> (stamp, entry); nothing where there is no index that can be read."""
    if not file.is_file() or file.is_symlink():
        return {}
    try:
        with closing(_open(file)) as connection:
            if connection.execute("PRAGMA user_version").fetchone() != (_VERSION,):
                return {}
            rows = connection.execute("SELECT run, stamp, entry FROM runs").fetchall()
        # parsed in one go: 20,000 calls take as long as everything else here
        entries = json.loads("[" + ",".join(text for _, _, text in rows) + "]")
        return {run: (stamp, Entry(*entry)) for (run, stamp, _), entry in zip(rows, entries, strict=True)}
    except (sqlite3.Error, ValueError, TypeError):
        return {}


def _save(file: Path, new: dict[str, tuple[str, Entry]], gone: Iterable[str]) -> None:
    if file.is_symlink():
        return
    lines = [(run, stamp, json.dumps(entry)) for run, (stamp, entry) in new.items()]
    for again in (True, False):
        try:
            with closing(_open(file)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                if connection.execute("PRAGMA user_version").fetchone() != (_VERSION,):
                    connection.execute("DROP TABLE IF EXISTS runs")
                    connection.execute("CREATE TABLE runs (run TEXT PRIMARY KEY, stamp TEXT, entry TEXT)")
                    connection.execute(f"PRAGMA user_version = {_VERSION}")
                connection.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?)", lines)
                connection.executemany("DELETE FROM runs WHERE run = ?", [(run,) for run in gone])
                connection.execute("COMMIT")
            return
        except sqlite3.OperationalError:
            # a store that is not ours to write in, or one that others are busy with: the next listing tries again
            return
        except sqlite3.DatabaseError:
            if again:
                file.unlink(missing_ok=True)
