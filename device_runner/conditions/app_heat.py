"""What a phone told the app of its heat while it ran: Android's PowerManager, in the `thermal` lines among the runner's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from device_runner.conditions.thermalservice import throttling

_WORST = 6
_IN_THE_APP = "in the app: "


def flags(events: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The worst of it, in words; empty where nothing was said, or nothing bad."""
    said = [event.get("status") for event in events if event.get("event") == "thermal"]
    known = [status for status in said if isinstance(status, int) and not isinstance(status, bool) and 0 <= status <= _WORST]
    return tuple(f"{_IN_THE_APP}{words}" for words in throttling(max(known, default=None)) or ())


def of_flags(flags: Iterable[str]) -> tuple[str, ...]:
    """Those of a launch's flags that are from here."""
    return tuple(flag for flag in flags if flag.startswith(_IN_THE_APP))
