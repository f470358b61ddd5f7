"""One connection of the library to one device, and the services that are open on it. For one thread."""

from __future__ import annotations

import contextlib
import logging
import struct
from collections.abc import Iterator
from typing import Any

from adb_shell import constants, exceptions

from device_runner.deadline import Deadline, DeadlineExpired
from device_runner.transports.adb import states
from device_runner.transports.adb.library_io import Packets
from device_runner.transports.adb.library_tcp import MAX_PACKET_BYTES
from edgedeploy.errors import EdgedeployError, TransientError, UserError

#: for a person to unlock the phone and accept the key
ACCEPT_SEC = 30.0
_CLOSE_SEC = 1.0
#: a device waits for each packet to be taken before it sends the next; one that does not is not to fill the memory
_UNREAD_BYTES = 16 * MAX_PACKET_BYTES
_LOG = logging.getLogger(__name__)
_TIMEOUTS = (exceptions.TcpTimeoutException, exceptions.AdbTimeoutError)
_NONSENSE = (
    exceptions.InvalidCommandError, exceptions.InvalidChecksumError, exceptions.InvalidResponseError,
    exceptions.UsbReadFailedError, exceptions.UsbWriteFailedError, OSError, ValueError, KeyError, struct.error,
)  # fmt: skip


class Channel:
    """One service. See stream.Stream."""

    def __init__(self, connection: Connection, local: int) -> None:
        self._connection, self.local, self.remote = connection, local, 0
        self.incoming = bytearray()
        self.opened = self.closed = False
        #: what was sent last has been taken
        self.acknowledged = True

    def send(self, data: bytes | bytearray | memoryview, deadline: Deadline) -> None:
        view = memoryview(data)
        for start in range(0, len(view), step := self._connection.step_bytes):
            self.acknowledged = False
            self._connection.send(constants.WRTE, self, bytes(view[start : start + step]), deadline)
            while not self.acknowledged:
                if self.closed:
                    raise TransientError("the device closed the service while data was sent to it")
                self._connection.pump(deadline)

    def receive(self, limit_bytes: int, deadline: Deadline) -> bytes:
        while not self.incoming and not self.closed:
            self._connection.pump(deadline)
        piece = bytes(self.incoming[:limit_bytes])
        del self.incoming[:limit_bytes]
        return piece

    def close(self) -> None:
        self._connection.forget(self)


class Connection:
    """`transport` is a TcpTransport or adb-shell's for USB."""

    def __init__(self, transport: Any, serial: str, signer: Any) -> None:
        self._transport, self._serial, self._signer = transport, serial, signer
        self._packets: Packets | None = None
        self._channels: dict[int, Channel] = {}
        self._last = 0

    @property
    def is_open(self) -> bool:
        return self._packets is not None

    def connect(self, deadline: Deadline) -> None:
        """Raises Unauthorized when nobody accepts this computer's key in time."""
        packets = Packets(self._transport)
        asked = False

        def ask() -> None:
            nonlocal asked
            asked = True
            _LOG.warning("%s asks whether to allow this computer: unlock it and accept", self._serial)

        limit = deadline.sooner(ACCEPT_SEC)
        self._transport.deadline = limit
        try:
            with self._translated():
                self._packets = packets
                packets.connect(self._signer, ask, max(limit.remaining, 0.001))
        except TransientError:
            if asked:
                raise states.unauthorized(self._serial) from None
            raise

    @property
    def features(self) -> frozenset[str]:
        _, _, listed = self._live().banner.partition("features=")
        return frozenset(listed.split(";")[0].rstrip("\0").split(","))

    @property
    def step_bytes(self) -> int:
        """How much goes into one packet."""
        return max(1024, min(self._live().largest_bytes, MAX_PACKET_BYTES))

    def _live(self) -> Packets:
        if self._packets is None:
            raise TransientError(f"the connection to {self._serial} was lost")
        return self._packets

    def fileno(self) -> int:
        """For select, over TCP: readable when a packet has begun."""
        fileno: int = self._transport.fileno()
        return fileno

    def open(self, service: bytes, deadline: Deadline) -> Channel:
        self._last = self._last % 0xFFFFFFFF + 1
        channel = self._channels[self._last] = Channel(self, self._last)
        self.send(constants.OPEN, channel, service + b"\0", deadline)
        while not channel.opened:
            if channel.closed:
                raise TransientError(f"{self._serial} refused {service[:20]!r}")
            self.pump(deadline)
        return channel

    def send(self, command: bytes, channel: Channel, data: bytes, deadline: Deadline) -> None:
        packets = self._live()
        with self._translated():
            self._transport.deadline = deadline
            packets.send(command, channel.local, channel.remote, data, max(deadline.remaining, 0.001))

    def pump(self, deadline: Deadline) -> None:
        """Take one packet and give it to the channel that it is for."""
        packets = self._live()
        with self._translated():
            deadline.check(f"{self._serial} did not answer")
            self._transport.deadline = deadline
            command, theirs, ours, data = packets.receive(max(deadline.remaining, 0.001))
        channel = self._channels.get(ours)
        if channel is None:
            return
        if command == constants.OKAY:
            channel.opened, channel.remote, channel.acknowledged = True, theirs, True
        elif command == constants.WRTE:
            channel.incoming += data
            if len(channel.incoming) > _UNREAD_BYTES:
                self.drop()
                raise TransientError(f"{self._serial} sends more than it may")
            self.send(constants.OKAY, channel, b"", deadline)
        elif command == constants.CLSE:
            channel.closed = True

    def forget(self, channel: Channel) -> None:
        """Close a channel; what still comes for it is dropped."""
        if self._channels.pop(channel.local, None) is not None and self._packets is not None and not channel.closed:
            with contextlib.suppress(EdgedeployError):
                self.send(constants.CLSE, channel, b"", Deadline.after(_CLOSE_SEC))
        channel.closed = True

    def drop(self) -> None:
        """Close it all: after a packet that was cut short, nothing that follows can be told apart."""
        for channel in self._channels.values():
            channel.closed = True
        self._channels = {}
        packets, self._packets = self._packets, None
        if packets is not None:
            # a cable that is out makes closing fail as well
            with contextlib.suppress(*_NONSENSE):
                packets.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """What the library raises, as errors of ours; whichever it was, the connection is given up."""
        try:
            yield
        except exceptions.DeviceAuthError:
            self.drop()
            raise states.unauthorized(self._serial) from None
        except _TIMEOUTS:
            self.drop()
            raise DeadlineExpired(f"no answer in time: {self._serial}") from None
        except exceptions.InvalidCommandError as error:
            self.drop()
            if "STLS" in str(error):
                raise UserError(
                    f"{self._serial} wants wireless debugging's encryption, which only adb's server speaks: install adb, and "
                    "pair with `adb pair HOST:PORT` (developer options, 'Wireless debugging', 'Pair device with pairing code')"
                ) from None
            raise TransientError(f"{self._serial} does not speak ADB: {error}") from None
        except _NONSENSE as error:
            self.drop()
            raise TransientError(f"the connection to {self._serial} was lost ({error})") from None
        except BaseException:
            self.drop()
            raise
