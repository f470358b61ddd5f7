"""A line to the head's actor: what is asked there, and what is said of it when it does not answer."""

from __future__ import annotations

import time
from typing import Any

from device_runner.lab.queue import LeaseLost
from edgedeploy.errors import TransientError, UserError

#: shorter than a heartbeat's rhythm, so that one that is not heard does not cost the next
_CALL_SEC = 4.0
_PAUSE_SEC = 0.5


class Line:
    """actor: the handle. Raises TransientError where the head does not answer."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def raw(self, method: str, *arguments: Any, wait_sec: float = _CALL_SEC) -> Any:
        """A method of the actor itself."""
        import ray
        from ray.exceptions import RayError

        try:
            return ray.get(getattr(self._actor, method).remote(*arguments), timeout=wait_sec)
        except RayError as error:
            raise TransientError(f"the cluster's head does not answer ({type(error).__name__})") from None

    def queue(self, method: str, *arguments: Any, patience_sec: float = 0.0, again: Any = None, **named: Any) -> Any:
        """A method of its queue. It is asked again for so long; again: called before that."""
        until = time.monotonic() + patience_sec
        while True:
            try:
                kind, value = self.raw("call", method, arguments, named)
            except TransientError:
                if time.monotonic() >= until:
                    raise
                time.sleep(_PAUSE_SEC)
                if again is not None:
                    again()
                continue
            if kind == "ok":
                return value
            raise {"lost": LeaseLost, "transient": TransientError}.get(kind, UserError)(value)
