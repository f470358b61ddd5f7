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
_VERSION = 2
#: with more runs than this to read, what another host has read is asked for first, and given to the next one afterwards
SHARED_FROM = 100
#: another process may be adding what it found
_WAIT_SEC = 5.0


class Entry(NamedTuple):
    """One line of a listing. median_ms is None where there is none. flags: names, with commas."""

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
    flags: str


def entry_of(record: RunRecord) -> Entry:
    from device_runner.validity import words

    artifact = record.artifact
    return Entry(
        record.id, record.experiment.id, record.created, artifact.subject, artifact.operator, artifact.runtime,
        artifact.backend, artifact.precision, record.place, record.plan.threads, record.valid,
        record.median_ms.estimate if record.median_ms else None, words.all_named(record),
    )  # fmt: skip


def entries(store: Store) -> tuple[list[Entry], list[str]]:
    """(the finished runs, the oldest first; what is wrong with those that cannot be read). The latter are tried each time."""
    kept = _load(store.beside / FILE)
    stamps = store.stamps()
    known = {run: value for run, value in kept.items() if stamps.get(run) == value[0]}
    unknown = [run for run in stamps if run not in known]
    if len(unknown) > SHARED_FROM:
        known |= {run: value for run, value in _parse(store.shared_index()).items() if stamps.get(run) == value[0]}
        unknown = [run for run in stamps if run not in known]
    broken: list[str] = []
    for run, record in zip(unknown, store.read_all(unknown), strict=True):
        if isinstance(record, UserError):
            broken.append(str(record))
        else:
            known[run] = (stamps[run], entry_of(record))
    new = {run: value for run, value in known.items() if kept.get(run) != value}
    gone = kept.keys() - stamps.keys()
    if new or gone:
        _save(store.beside / FILE, new, gone)
    if len(unknown) > SHARED_FROM:
        _share(store, known)
    return [known[run][1] for run in stamps if run in known], broken


def give(store: Store, entries: dict[str, tuple[str, Entry]]) -> None:
    """Add what is known of runs, each with its stamp, to the index that other hosts are given."""
    _share(store, _parse(store.shared_index()) | entries)


def _share(store: Store, known: dict[str, tuple[str, Entry]]) -> None:
    store.share_index(json.dumps([[run, stamp, entry] for run, (stamp, entry) in sorted(known.items())]).encode())


def _parse(content: bytes) -> dict[str, tuple[str, Entry]]:
    """As `store.share_index` was given it; nothing where it is not that."""
    try:
        return {run: (stamp, Entry(*entry)) for run, stamp, entry in json.loads(content or b"[]")}
    except (ValueError, TypeError, RecursionError):
        return {}


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
