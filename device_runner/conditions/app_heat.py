"""What a phone told the app of its heat while it ran: Android's PowerManager, in the `thermal` lines among the runner's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from device_runner.conditions.thermalservice import throttling

_WORST = 6


def flags(events: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The worst of it, in words; empty where nothing was said, or nothing bad."""
    said = [event.get("status") for event in events if event.get("event") == "thermal"]
    known = [status for status in said if isinstance(status, int) and not isinstance(status, bool) and 0 <= status <= _WORST]
    return tuple(f"in the app: {words}" for words in throttling(max(known, default=None)) or ())
