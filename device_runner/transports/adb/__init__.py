"""Phones over ADB: through the adb server of this host, or without one through the adb-shell library."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device_runner.deadline import Deadline
    from device_runner.transports.adb.settings import Settings
    from device_runner.transports.adb.stream import Link
    from device_runner.transports.adb.transport import AdbTransport
    from device_runner.transports.base import Target

#: a server that is started, a phone that wakes up, a person who accepts a key
CONNECT_SEC = 40.0


def connect(target: Target) -> AdbTransport:
    """The phone with that serial, or at that HOST:PORT.

    Raises UserError for what a person must do (accept the key on the phone, install adb), TransientError when out of reach.
    """
    from device_runner.deadline import Deadline
    from device_runner.transports.adb.settings import Settings
    from device_runner.transports.adb.transport import AdbTransport

    settings = Settings.of(target)
    deadline = Deadline.after(CONNECT_SEC)
    link = _link(settings, deadline)
    try:
        return AdbTransport(link, settings.work_root, deadline)
    except BaseException:
        link.close()
        raise


def _link(settings: Settings, deadline: Deadline) -> Link:
    """Through the server where there is one or adb can start it: while it runs it holds the USB devices. Else the library."""
    from device_runner.transports.adb.server import NoServer, Server
    from device_runner.transports.adb.server_link import ServerLink

    if settings.server is not None:
        server = Server(settings.server)
        try:
            server.version(deadline)
        except NoServer:
            if settings.server_named:
                raise
        else:
            return ServerLink(server, settings.serial)
    from device_runner.transports.adb.library import LibraryLink

    return LibraryLink(settings.serial, settings.key_file)
