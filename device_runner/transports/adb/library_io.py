"""The part of adb-shell that is used below its public calls, in one place.

What is used: `_AdbIOManager` (connect, _send, _read_bytes_from_device, and _read_packet_from_device and
_read_expected_packet_from_device, which are replaced), `AdbDevice`'s attributes `_io_manager` and `_maxdata`,
`_AdbTransactionInfo`, `AdbMessage.checksum`. Its own shell has no exit codes and its streams drop what comes for another one,
so that only connecting, authorising and packets are its work.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

import numpy as np
from adb_shell import constants, exceptions
from adb_shell.adb_device import AdbDevice, _AdbIOManager
from adb_shell.adb_message import AdbMessage, unpack
from adb_shell.hidden_helpers import _AdbTransactionInfo
from adb_shell.transport.base_transport import BaseTransport

from edgedeploy.errors import UserError

#: the version whose private parts were read and tested
VERSION = "0.4.4"


def check_version() -> None:
    """Raise UserError for another adb-shell: what is private may have changed."""
    installed = metadata.version("adb-shell")
    if installed != VERSION:
        raise UserError(f"adb-shell {installed} is installed, {VERSION} is needed: pip install adb-shell=={VERSION}")


def checksum(data: bytes) -> int:
    """Of a packet's data: the sum of its bytes, which the library adds up one by one in Python."""
    return int(np.frombuffer(data, np.uint8).sum(dtype=np.uint64)) & 0xFFFFFFFF


class Message(AdbMessage):  # type: ignore[misc]  # adb-shell has no types
    """A packet that knows its checksum sooner."""

    @property
    def checksum(self) -> int:
        return checksum(self.data)


class Manager(_AdbIOManager):  # type: ignore[misc]
    """Keeps what the device says of itself when it accepts a connection."""

    banner = b""

    def _read_expected_packet_from_device(self, expected_cmds: Any, adb_info: Any) -> Any:
        packet = super()._read_expected_packet_from_device(expected_cmds, adb_info)
        if packet[0] == constants.CNXN:
            self.banner = bytes(packet[3])
        return packet

    def _read_packet_from_device(self, adb_info: Any) -> tuple[bytes, int, int, bytes]:
        header = self._read_bytes_from_device(constants.MESSAGE_SIZE, adb_info)
        number, arg0, arg1, length, stated = unpack(header)
        command = constants.WIRE_TO_ID.get(number)
        if command is None:
            raise exceptions.InvalidCommandError(f"{header[:4]!r} is no command")
        data = self._read_bytes_from_device(length, adb_info) if length else b""
        if length and checksum(data) != stated:
            raise exceptions.InvalidChecksumError("a packet arrived damaged")
        return command, arg0, arg1, data


class Packets:
    """Packets to and from one device."""

    def __init__(self, transport: BaseTransport) -> None:
        check_version()
        self._manager = Manager(transport)
        self._device = AdbDevice(transport)
        self._device._io_manager = self._manager

    def connect(self, signer: Any, asked: Any, timeout_sec: float) -> None:
        """Connect and authorise; `asked` is called once the phone has put the question on its screen."""
        self._device.connect(
            rsa_keys=[signer], transport_timeout_s=timeout_sec, auth_timeout_s=timeout_sec, read_timeout_s=timeout_sec,
            auth_callback=lambda _: asked(),
        )  # fmt: skip

    @property
    def banner(self) -> str:
        """ "device::ro.product.name=…;…;features=a,b,c" """
        return self._manager.banner.decode("utf-8", "replace")

    @property
    def largest_bytes(self) -> int:
        """Of one packet's data, as the device said."""
        return int(self._device._maxdata)

    def send(self, command: bytes, local: int, remote: int, data: bytes, timeout_sec: float) -> None:
        self._manager._send(Message(command, local, remote, data), _times(timeout_sec))

    def receive(self, timeout_sec: float) -> tuple[bytes, int, int, bytes]:
        """(command, their stream, our stream, data)."""
        command, theirs, ours, data = self._manager._read_packet_from_device(_times(timeout_sec))
        return command, theirs, ours, data

    def close(self) -> None:
        self._device.close()


def _times(timeout_sec: float) -> Any:
    return _AdbTransactionInfo(None, None, timeout_sec, timeout_sec, None)
