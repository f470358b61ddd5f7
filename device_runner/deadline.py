"""A point in time by which something must be done, handed down through calls in place of loose seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass

from edgedeploy.errors import TransientError


class DeadlineExpired(TransientError):
    """There was no answer in time. Transient: a device that is busy or asleep may answer the next time."""


@dataclass(frozen=True)
class Deadline:
    """`at` is on the monotonic clock of this host, in seconds; a device's clock is never asked."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline `seconds` from now."""
        return cls(time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - time.monotonic())

    @property
    def expired(self) -> bool:
        return self.remaining <= 0.0

    def check(self, what: str) -> None:
        """Raise DeadlineExpired, naming what was being done, when there is no time left."""
        if self.expired:
            raise DeadlineExpired(f"no answer in time: {what}")

    def sooner(self, seconds: float) -> Deadline:
        """The earlier of this deadline and `seconds` from now: a part may not use up the time of the whole."""
        return min(self, Deadline.after(seconds), key=lambda deadline: deadline.at)
