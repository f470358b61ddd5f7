"""What the adb server has attached."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from device_runner.deadline import Deadline
from device_runner.transports.adb.server import Address, Server

#: the server's own list is instant; starting a server takes seconds
_LIST_SEC = 15.0


class Attached(NamedTuple):
    """One device as the server lists it. Fields that it does not give are ""."""

    serial: str
    #: "device" (ready), "unauthorized", "offline", "no permissions", "recovery", …
    state: str
    model: str
    product: str
    transport_id: str


def attached(server: Server | None = None, deadline: Deadline | None = None) -> list[Attached]:
    """What is attached, ready or not, in the server's order.

    server: of this host, unless told otherwise; it is started where adb is installed. Raises NoServer (a UserError) where
    there is none and adb is not installed, TransientError when it does not answer.
    """
    asked = server or Server(Address.from_environment(os.environ))
    answer = asked.ask("host:devices-l", deadline or Deadline.after(_LIST_SEC))
    lines = answer.decode("utf-8", "replace").splitlines()
    return [device for line in lines if (device := _parse(line)) is not None]


def _parse(line: str) -> Attached | None:
    """A line: serial, state (which may be several words), then name:value pairs."""
    words = line.split()
    if len(words) < 2 or not words[0].isprintable():
        return None
    pairs = dict(word.split(":", 1) for word in words[2:] if re.fullmatch(r"(product|model|transport_id):[ -~]{1,200}", word))
    state = "no permissions" if words[1:3] == ["no", "permissions"] else words[1]
    if not re.fullmatch(r"[a-z ]{1,40}", state):
        return None
    return Attached(words[0], state, pairs.get("model", ""), pairs.get("product", ""), pairs.get("transport_id", ""))
