"""What `am instrument -w -r` prints: statuses and a result as key=value, and how it ends."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

_STATUS, _RESULT = "INSTRUMENTATION_STATUS: ", "INSTRUMENTATION_RESULT: "
_CODE, _FAILED = "INSTRUMENTATION_CODE: ", "INSTRUMENTATION_FAILED: "
#: of a reason in a message
_MOST_CHARS = 500


@dataclass
class Said:
    """What came so far. `ended`: it has said how the instrumentation ended, or that it never began."""

    events: list[dict[str, Any]] = field(default_factory=list)
    ended: bool = False
    #: in Android's words, where the app did not end by itself
    reason: str = ""
    _pending: str = ""

    def add(self, text: str) -> None:
        """Take a further piece of the output, cut anywhere."""
        *lines, self._pending = (self._pending + text).split("\n")
        for line in lines:
            self._line(line.rstrip("\r"))

    @property
    def last(self) -> dict[str, Any]:
        """The last event, {} before the first."""
        return self.events[-1] if self.events else {}

    def _line(self, line: str) -> None:
        if line.startswith((_STATUS, _RESULT)):
            key, _, value = line.partition(": ")[2].partition("=")
            if key == "line":
                self._event(value)
            elif key in ("Error", "shortMsg", "longMsg"):
                self.reason = self.reason or value[:_MOST_CHARS]
        elif line.startswith(_CODE):
            self.ended = True
        elif _FAILED in line:
            self.ended = True
            self.reason = self.reason or line[:_MOST_CHARS]

    def _event(self, text: str) -> None:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return
        if isinstance(value, dict) and isinstance(value.get("event"), str):
            self.events.append(value)


def argv(component: str, **extras: str) -> list[str]:
    """The command that starts an instrumentation with these extras and stays until it has ended."""
    return ["am", "instrument", "-w", "-r", *(word for key, value in extras.items() for word in ("-e", key, value)), component]
