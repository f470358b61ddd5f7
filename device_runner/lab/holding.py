"""Devices kept from work and let back, and what is seen of them."""

from __future__ import annotations

import socket
import sqlite3

from device_runner.lab.queue import Hold, Presence
from device_runner.lab.telling import MOST_TEXT, note, tell

_SEEN = """
INSERT INTO device (name, presence, detail, seen_at, host) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE
SET presence = excluded.presence, detail = excluded.detail, seen_at = excluded.seen_at, host = excluded.host
"""
_HOLD = """
UPDATE device SET hold = ?, hold_by = ?, hold_reason = ?, held_at = ?, checks = CASE WHEN ? THEN checks ELSE 0 END
WHERE name = ?
"""
_FORGIVE = "UPDATE device SET forgiven = (SELECT coalesce(max(id), 0) FROM outcome) WHERE name = ?"


def seen(db: sqlite3.Connection, now: float, device: str, presence: Presence, detail: str, host: str) -> None:
    """See queue.Queue.seen."""
    before = db.execute("SELECT presence FROM device WHERE name = ?", (device,)).fetchone()
    db.execute(_SEEN, (device, presence, detail[:MOST_TEXT], now, host or socket.gethostname()))
    if before is None or before["presence"] != presence:
        tell(db, now, device, presence + (f": {detail}" if detail else ""))


def hold_all(db: sqlite3.Connection, now: float, kind: Hold, reason: str) -> None:
    """The whole lab."""
    db.execute("UPDATE lab SET hold = ?, reason = ?", (kind, reason[:MOST_TEXT]))
    tell(db, now, "", f"the lab is {kind or 'at work again'}" + (f": {reason}" if reason else ""))


def hold(db: sqlite3.Connection, now: float, device: str, kind: Hold, reason: str, by: str) -> None:
    """See queue.Queue.hold."""
    db.execute("INSERT OR IGNORE INTO device (name) VALUES (?)", (device,))
    # the lab's own quarantine of a device that was let back a while ago goes on with the longer waits between checks
    db.execute(_HOLD, (kind, by if kind else "", reason[:MOST_TEXT], now, by == "lab", device))
    if not kind:
        db.execute(_FORGIVE, (device,))
    tell(db, now, device, (kind or "may work again") + (f": {reason}" if reason else ""))


def checked(db: sqlite3.Connection, now: float, device: str, trouble: str) -> None:
    """See queue.Queue.checked."""
    row = db.execute("SELECT hold, hold_by FROM device WHERE name = ?", (device,)).fetchone()
    if row is None or row["hold"] != "quarantined" or row["hold_by"] != "lab":
        return
    db.execute("UPDATE device SET checks = checks + 1 WHERE name = ?", (device,))
    if trouble:
        db.execute("UPDATE device SET held_at = ? WHERE name = ?", (now, device))
        note(db, now, device, f"health check: {trouble}")
    else:
        hold(db, now, device, "", "it passed a health check", "lab")
