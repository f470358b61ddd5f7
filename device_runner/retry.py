"""Try again what may work the next time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from edgedeploy.errors import TransientError

T = TypeVar("T")

ATTEMPTS = 3
FIRST_PAUSE_SEC = 0.5


def with_backoff(action: Callable[[], T], *, attempts: int = ATTEMPTS, pause_sec: float = FIRST_PAUSE_SEC) -> T:
    """The result of `action`, called up to `attempts` times while it raises TransientError.

    The pause doubles each time. The last TransientError is raised on; every other error at once, since trying again what
    the user must fix, or what is our bug, only hides it.
    """
    for attempt in range(attempts):
        try:
            return action()
        except TransientError:
            if attempt + 1 == attempts:
                raise
            time.sleep(pause_sec * 2**attempt)
    raise AssertionError("attempts must be at least 1")
