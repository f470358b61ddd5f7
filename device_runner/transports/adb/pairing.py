"""Wireless debugging (Android 11 and newer): making this computer's adb server known to a phone by the code on its screen."""

from __future__ import annotations

import os
import re

from device_runner.deadline import Deadline
from device_runner.transports.adb.server import Address, Refused, Server, printable
from device_runner.transports.adb.server_link import is_network
from edgedeploy.errors import TransientError, UserError

_PAIR_SEC = 30.0


def pair(address: str, code: str, server: Server | None = None, deadline: Deadline | None = None) -> str:
    """Pair with the phone that shows `code` and `address` (HOST:PORT); returns what the server says of it.

    The port is that of the pairing dialog, not the one that is connected to afterwards. Raises UserError for an address or a
    code that cannot be right, or is not; TransientError when the phone is out of reach.
    """
    if not is_network(address):
        raise UserError(f"{address!r}: give the HOST:PORT that the phone shows under 'Pair device with pairing code'")
    if not re.fullmatch(r"[0-9]{6}", code):
        raise UserError("the pairing code is the six digits that the phone shows")
    asked = server or Server(Address.from_environment(os.environ))
    try:
        said = printable(asked.ask(f"host:pair:{code}:{address}", deadline or Deadline.after(_PAIR_SEC)))
    except Refused as refused:
        said = refused.reason
    if said.startswith("Successfully paired"):
        return said
    if "Wrong password" in said:
        raise UserError(f"{address} does not take that code: it changes each time the phone shows the dialog")
    if "unknown host service" in said:
        raise UserError("this adb server cannot pair: adb 30 or newer can")
    raise TransientError(f"{address}: {said}")
