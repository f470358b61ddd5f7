"""What follows from how artifacts did on a device: who is to blame, and whether the device gets more work."""

from __future__ import annotations

import functools
import sqlite3

from device_runner.lab.blame import MOST_IN_A_ROW, Tried, Verdict, in_a_row, verdict

#: of a device and of an artifact: what is older says little of them now
_LATEST = 60
_COLUMNS = "id, attempt, device, artifact, ok, trouble, text"


def tries_of(connection: sqlite3.Connection, column: str, value: str, after: int = 0) -> list[sqlite3.Row]:
    """The latest tries on a device, or of an artifact, the oldest first."""
    assert column in ("device", "artifact")
    query = f"SELECT {_COLUMNS} FROM outcome WHERE {column} = ? AND id > ? ORDER BY id DESC LIMIT {_LATEST}"  # noqa: S608
    return connection.execute(query, (value, after)).fetchall()[::-1]


def _tried(row: sqlite3.Row) -> Tried:
    return Tried(row["attempt"], row["device"], row["artifact"], bool(row["ok"]), row["trouble"], row["text"])


def verdict_of(connection: sqlite3.Connection, failure: Tried, here: list[sqlite3.Row]) -> Verdict:
    """Of a failure on a device whose tries are `here`."""
    if failure.trouble == "device":
        return "device"
    rows = {row["id"]: row for row in here}
    for artifact in dict.fromkeys([failure.artifact, *(row["artifact"] for row in here if not row["ok"])]):
        rows |= {row["id"]: row for row in tries_of(connection, "artifact", artifact)}
    return verdict(failure, [_tried(rows[identifier]) for identifier in sorted(rows)])


def row_of_failures(connection: sqlite3.Connection, device: str) -> tuple[int, str]:
    """See `blame.in_a_row`; since the device was let back last."""
    found = connection.execute("SELECT forgiven FROM device WHERE name = ?", (device,)).fetchone()
    here = tries_of(connection, "device", device, found["forgiven"] if found else 0)
    judge = functools.partial(verdict_of, connection, here=here)
    return in_a_row([_tried(row) for row in reversed(here)], judge)


def to_quarantine(connection: sqlite3.Connection, device: str, artifacts: tuple[str, ...]) -> list[tuple[str, str]]:
    """(device, reason) of each that is to get no more work, after these artifacts were tried on `device`.

    Others too: that an artifact works here shows that its failure there was not its own.
    """
    others = [
        row["device"]
        for artifact in artifacts if artifact
        for row in tries_of(connection, "artifact", artifact) if not row["ok"]
    ]  # fmt: skip
    found = []
    for name in dict.fromkeys([device, *others]):
        count, last = row_of_failures(connection, name)
        held = connection.execute("SELECT hold FROM device WHERE name = ?", (name,)).fetchone()
        if count >= MOST_IN_A_ROW and (held is None or not held["hold"]):
            found.append((name, f"{count} failures in a row of its own making, the last: {last}"))
    return found


def verdicts(connection: sqlite3.Connection) -> list[tuple[str, str, str, str]]:
    """(device, artifact, whose trouble, text) of each combination whose last try failed."""
    latest = connection.execute(
        f"SELECT {_COLUMNS} FROM outcome WHERE id IN (SELECT max(id) FROM outcome GROUP BY device, artifact) AND NOT ok"  # noqa: S608
    ).fetchall()
    found: list[tuple[str, str, str, str]] = []
    for row in latest:
        here = tries_of(connection, "device", row["device"])
        found.append((row["device"], row["artifact"], verdict_of(connection, _tried(row), here), row["text"]))
    return found
