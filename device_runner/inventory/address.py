"""Addresses as they are typed: local, adb:SERIAL, adb://HOST:PORT, ssh://USER@HOST:PORT."""

from __future__ import annotations

import re

from device_runner.transports.base import Target
from edgedeploy.errors import UserError

FORMS = "adb:SERIAL, adb://HOST:PORT, ssh://USER@HOST:PORT or local"

#: no blank, no control character, and nothing that a program could take for an option
_PLAIN = re.compile(r"[A-Za-z0-9_\[][^\s\x00-\x1f\x7f]{0,254}")
_SSH = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]{0,63})@)?"
    r"(?P<host>[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?"
)


def looks_direct(text: str) -> bool:
    """Whether `text` is an address, not a name."""
    return text.startswith(("adb:", "ssh:"))


def parse(text: str) -> Target:
    """The target of an address. Raises UserError naming the forms there are."""
    if text == "local":
        return Target("local")
    if text.startswith("adb:"):
        return Target("adb", checked("adb", text.removeprefix("adb:").removeprefix("//").rstrip("/")))
    if text.startswith("ssh://"):
        return Target("ssh", checked("ssh", text.removeprefix("ssh://").rstrip("/")))
    raise UserError(f"{text[:200]!r} is not an address; give {FORMS}")


def checked(transport: str, address: str) -> str:
    """`address` if it can be one of that transport. Raises UserError saying what one looks like."""
    if transport == "local":
        if address:
            raise UserError(f"local is this host and has no address, not {address[:100]!r}")
        return address
    if transport == "ssh":
        match = _SSH.fullmatch(address)
        if not match or int(match["port"] or 22) not in range(1, 65536):
            raise UserError(f"{address[:100]!r} is not an ssh address; give HOST, USER@HOST or USER@HOST:PORT")
    elif not _PLAIN.fullmatch(address):
        raise UserError(f"{address[:100]!r} is not an adb address; give the serial that `adb devices` shows, or HOST:PORT")
    return address


def shown(target: Target) -> str:
    """The target as it would be typed."""
    return {"ssh": f"ssh://{target.address}", "adb": f"adb:{target.address}"}.get(target.transport, target.transport)


def identity(target: Target) -> str:
    """The same text for the same device, however it is logged in to: what a lock and a journal go by."""
    if target.transport != "ssh":
        return f"{target.transport}:{target.address}"
    match = _SSH.fullmatch(target.address)
    host, port = (match["host"].lower(), match["port"] or "22") if match else (target.address, "22")
    return f"ssh:{host}:{int(port)}"
