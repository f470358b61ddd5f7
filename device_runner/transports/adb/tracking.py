"""What the adb server has attached, told by the server whenever it changes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from device_runner.deadline import Deadline
from device_runner.transports.adb.server import Address, Server, receive_text, send

_ASK_SEC = 15.0


def tracked(quiet_sec: float, server: Server | None = None) -> Iterator[dict[str, str] | None]:
    """serial -> adb's word for its state, at once and then whenever that changes; None after `quiet_sec` without a change.

    Ends only by an error: UserError (NoServer) where there is no server and none can be started, TransientError when it went.
    """
    asked = server or Server(Address.from_environment(os.environ))
    with contextlib.closing(asked.open(Deadline.after(_ASK_SEC))) as stream:
        send(stream, b"host:track-devices", Deadline.after(_ASK_SEC))
        while True:
            if not stream.readable(quiet_sec):
                yield None
                continue
            lines = receive_text(stream, Deadline.after(_ASK_SEC)).decode("utf-8", "replace").splitlines()
            yield {serial: state for line in lines for serial, _, state in [line.partition("\t")] if serial.isprintable()}
