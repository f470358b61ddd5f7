"""What `am instrument -w -r` prints: statuses and a result as key=value, and how it ends."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

_STATUS, _RESULT = "INSTRUMENTATION_STATUS: ", "INSTRUMENTATION_RESULT: "
_CODE, _FAILED = "INSTRUMENTATION_CODE: ", "INSTRUMENTATION_FAILED: "
#: of a reason in a message, of a line that is waited for, and of events: a device may say anything
_MOST_CHARS, _MOST_LINE_CHARS, _MOST_EVENTS = 500, 2**22, 100
#: the phase that follows from an event, as the runner itself has it
_AFTER = {
    "hello": "load", "load": "adapters", "adapters": "first", "first": "warmup", "warmup": "steady", "steady": "output",
    "output": "output", "rusage": "rusage", "end": "end", "error": "error",
}  # fmt: skip


@dataclass
class Said:
    """What came so far. `ended`: it has said how the instrumentation ended, or that it never began."""

    #: the latest ones
    events: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_MOST_EVENTS))
    phase: str = "hello"
    warmup_samples: int = 0
    steady_samples: int = 0
    ended: bool = False
    #: in Android's words, where the app did not end by itself
    reason: str = ""
    _pending: str = ""

    def add(self, text: str) -> None:
        """Take a further piece of the output, cut anywhere."""
        *lines, self._pending = (self._pending + text).split("\n")
        for line in lines:
            self._line(line.rstrip("\r"))
        if len(self._pending) > _MOST_LINE_CHARS:
            self._pending = ""

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
        if not isinstance(value, dict) or not isinstance(value.get("event"), str):
            return
        self.events.append(value)
        self.phase = _AFTER.get(value["event"], self.phase)
        self.warmup_samples = _count(value, "warmup_samples", self.warmup_samples)
        self.steady_samples = _count(value, "steady_samples", self.steady_samples)


def _count(event: dict[str, Any], key: str, before: int) -> int:
    value = event.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else before


def argv(component: str, **extras: str) -> list[str]:
    """The command that starts an instrumentation with these extras and stays until it has ended."""
    return ["am", "instrument", "-w", "-r", *(word for key, value in extras.items() for word in ("-e", key, value)), component]
