"""How the near device reaches the far one's server, and saying so: directly, or through this host.

Through the host there are three pieces, each of them nothing where the device is this host: the far device's port is led here
(`adb forward`, an SSH tunnel), a shaped link may stand between, and that port is led to the near device (`adb reverse`, an SSH
tunnel the other way). Nothing listens anywhere but on a loopback. Directly, the far runner listens for everybody who reaches
its port, so that is done only when it is asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from device_runner.deadline import Deadline
from device_runner.retry import with_backoff
from device_runner.tiers.shape import Shape
from device_runner.tiers.shaping import relay
from device_runner.transports.base import Transport
from edgedeploy.errors import TransientError, UserError

LOOPBACK = "127.0.0.1"
_CALL_SEC = 30.0
_TAKE_BACK_SEC = 5.0
_FORWARDS = {"adb": "adb forward", "ssh": "an SSH tunnel from this host"}
_REVERSES = {"adb": "adb reverse", "ssh": "an SSH tunnel to this host"}


@dataclass(frozen=True)
class Path:
    """The way from the near device to the far one: where the near runner connects to, and what carries it from there.

    hops: in the order that what is sent takes. shaped: what made the link other than it is, "" where nothing did.
    """

    host: str
    port: int
    kind: Literal["direct", "through the host", "same device"]
    hops: tuple[str, ...]
    shaped: str = ""


class Route:
    """From `near` to `far`; `open` it once the far server says its port. `shape`: what the link is made to be.

    direct_host: the far device's address as the near one reaches it; then nothing is led through this host.
    """

    def __init__(self, near: Transport, far: Transport, *, shape: Shape | None = None, direct_host: str | None = None) -> None:
        if direct_host is not None and shape is not None:
            raise UserError("a direct link does not pass this host, which could shape it; leave out --direct or --link")
        self._near, self._far, self._shape, self._direct = near, far, shape, direct_host
        self._opened = contextlib.ExitStack()
        self._far_port: int | None = None

    def open(self, far_port: int) -> Path:
        """Lead the near device to `far_port` of the far one's loopback; a way that was open before is closed.

        Raises UserError for a transport that leads no ports on, saying why.
        """
        self.close()
        self._far_port = far_port
        if self._direct is not None:
            return Path(self._direct, far_port, "direct", (f"the network, to {self._direct}",))
        deadline = Deadline.after(_CALL_SEC)
        here = led = with_backoff(lambda: self._far.forward(far_port, deadline))
        self._opened.callback(_quietly, self._far.unforward, led)
        middle, shaped = [], ""
        if self._shape is not None:
            here = self._opened.enter_context(relay(led, self._shape))
            shaped = f"{self._shape} by a delay line on this host"
            middle = [f"a delay line on this host ({self._shape})"]
        port = with_backoff(lambda: self._near.reverse(here, deadline))
        self._opened.callback(_quietly, self._near.unreverse, port)
        ends = [_REVERSES[self._near.kind]] if self._near.kind in _REVERSES else []
        hops = [*ends, *middle, *([_FORWARDS[self._far.kind]] if self._far.kind in _FORWARDS else [])]
        same = self._near.kind == self._far.kind == "local"
        kind: Literal["same device", "through the host"] = "same device" if same else "through the host"
        return Path(LOOPBACK, port, kind, tuple(hops) or ("the loopback",), shaped)

    def renew(self) -> Path:
        """The way to the same far port, led anew after the link dropped. Raises UserError where none was opened."""
        if self._far_port is None:
            raise UserError("no way was opened that could be led anew")
        return self.open(self._far_port)

    def close(self) -> None:
        """Take back what was opened; of a device that is gone, its own side of it is gone too."""
        self._opened.close()

    def __enter__(self) -> Route:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:  # fmt: skip
        self.close()


def _quietly(take_back: Callable[[int, Deadline], None], port: int) -> None:
    with contextlib.suppress(TransientError):
        take_back(port, Deadline.after(_TAKE_BACK_SEC))
