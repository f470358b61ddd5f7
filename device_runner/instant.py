"""Times of day as they are written down."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """This host's time in UTC, ISO 8601 with milliseconds: 2026-01-31T12:00:00.123Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
