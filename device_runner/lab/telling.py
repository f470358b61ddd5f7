"""Lines that the queue's changes leave behind: what happened, and what a device does."""

from __future__ import annotations

import sqlite3

MOST_TEXT = 1000
_MOST_EVENTS = 20_000


def tell(db: sqlite3.Connection, now: float, device: str, text: str) -> None:
    """Something that happened, of a device or of "" for all."""
    cursor = db.execute("INSERT INTO event (at, device, text) VALUES (?, ?, ?)", (now, device, text[:MOST_TEXT]))
    if cursor.lastrowid and cursor.lastrowid % 1000 == 0:
        db.execute("DELETE FROM event WHERE id <= ?", (cursor.lastrowid - _MOST_EVENTS,))


def note(db: sqlite3.Connection, now: float, device: str, activity: str, temperature_c: float | None = None) -> None:
    """What a device does now."""
    db.execute(
        "UPDATE device SET activity = ?, activity_at = ?, temperature_c = coalesce(?, temperature_c) WHERE name = ?",
        (activity[:MOST_TEXT], now, temperature_c, device),
    )
