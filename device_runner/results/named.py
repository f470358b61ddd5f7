"""What reports and comparisons that were written to a file name: those runs `results prune` leaves.

A small list in the store for each file, known by the file's host and path: one that is written again replaces its list.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from device_runner.instant import now
from device_runner.results.store import Store
from edgedeploy.errors import EdgedeployError, UserError


@dataclass(frozen=True)
class Named:
    """key: what the list is released by. what: a report or a comparison. file: HOST:PATH."""

    key: str
    what: str
    file: str
    written: str
    runs: tuple[str, ...]


def leave(store: Store, what: str, file: Path, runs: Sequence[str]) -> None:
    """Note that a file names these runs; to be called before it is written. Raises UserError where one was pruned meanwhile,
    and what the store raises where it cannot be written."""
    where = f"{socket.gethostname()}:{file.resolve()}"
    key = hashlib.sha256(where.encode()).hexdigest()[:12]
    listed = list(dict.fromkeys(runs))
    store.write_named(key, {"what": what, "file": where, "written": now(), "runs": listed})
    # looked for after the list is there: who prunes takes a run away first and looks at the lists after that
    there = store.stamps()
    gone = [run for run in listed if run not in there]
    if gone:
        raise UserError(f"{gone[0]} was pruned meanwhile; name the runs that are left (edgedeploy results list)")


def lists(store: Store) -> list[Named]:
    """All there are, by file. Raises UserError for one that cannot be read: nothing may be removed then."""
    found = []
    for key, document in store.named().items():
        try:
            what, file, written, runs = (document[field] for field in ("what", "file", "written", "runs"))
            if not isinstance(runs, list):
                raise TypeError
        except (KeyError, TypeError):
            raise UserError(
                f"{store}: the list {key} of runs to keep is damaged; remove it: edgedeploy results kept --release {key}"
            ) from None
        found.append(Named(key, str(what), str(file), str(written), tuple(map(str, runs))))
    return sorted(found, key=lambda each: each.file)


def runs(store: Store) -> set[str]:
    """Every run that is named."""
    return {run for each in lists(store) for run in each.runs}


def release(store: Store, key: str) -> None:
    """Forget a list. Raises UserError where there is none of that key."""
    if key not in store.named():
        raise UserError(f"{store}: no list {key[:40]!r}; edgedeploy results kept shows those there are")
    store.write_named(key, None)


def leave_or_say(store: Store, what: str, file: Path, runs: Sequence[str]) -> str:
    """As `leave`; what went wrong where the store is not ours to write in, which is no reason not to have the file."""
    try:
        leave(store, what, file, runs)
    except UserError:
        raise
    except (EdgedeployError, OSError) as error:
        return f"{store}: not noted that {file} names its runs, so `results prune` may remove them ({error})"
    return ""
