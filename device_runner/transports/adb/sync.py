"""Files over adb's sync service: look at them, send them, fetch them.

A request is four letters, a 32-bit little-endian length and a path; file data goes in chunks of at most 64 KB with the same
kind of header. See SYNC.TXT in adb's sources.
"""

from __future__ import annotations

import errno
import os
import stat as mode_bits
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from device_runner.deadline import Deadline
from device_runner.transports.adb.server import printable
from device_runner.transports.adb.stream import receive_exactly
from device_runner.transports.base import NoRoom
from edgedeploy.errors import EdgedeployError, TransientError, UserError

if TYPE_CHECKING:
    from device_runner.transports.adb.stream import Link

CHUNK_BYTES = 64 * 1024
#: sizes are 32-bit in the protocol's first version, which is what every device understands
SIZE_LIMIT_BYTES = 2**32
_CHUNKS_AT_ONCE = 16
_REQUEST = struct.Struct("<4sI")
_STAT_V1 = struct.Struct("<4s3I")
_STAT_V2 = struct.Struct("<4sI2Q4IQ3q")
_PATH_LIMIT_BYTES = 1024
_MISSING = (errno.ENOENT, errno.ENOTDIR)
#: a file may grow while it is fetched; a device that never ends is another matter
_GROWTH_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Found:
    """What is at a path; a link is not followed."""

    mode: int
    bytes: int

    @property
    def is_file(self) -> bool:
        return mode_bits.S_ISREG(self.mode)

    @property
    def is_directory(self) -> bool:
        return mode_bits.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        return mode_bits.S_ISLNK(self.mode)


class Sync:
    """One sync service, open. Use as a context manager."""

    def __init__(self, link: Link, deadline: Deadline, *, stat_v2: bool) -> None:
        self._stream, self._deadline, self._stat_v2 = link.open(b"sync:", deadline), deadline, stat_v2

    def __enter__(self) -> Sync:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def look(self, paths: Sequence[str]) -> list[Found | None]:
        """What is at each path, None where nothing is. All are asked for before the first answer is waited for."""
        name = b"LST2" if self._stat_v2 else b"STAT"
        self._stream.send(b"".join(_request(name, path) for path in paths), self._deadline)
        return [self._stat_answer(path) for path in paths]

    def _stat_answer(self, path: str) -> Found | None:
        layout = _STAT_V2 if self._stat_v2 else _STAT_V1
        name = receive_exactly(self._stream, 4, self._deadline)
        if name == b"FAIL":
            raise self._failure(path)
        if name != (b"LST2" if self._stat_v2 else b"STAT"):
            raise TransientError(f"the device does not speak the sync protocol: {name!r}")
        fields = layout.unpack(name + receive_exactly(self._stream, layout.size - 4, self._deadline))
        if not self._stat_v2:
            mode, size, _ = fields[1:]
            return Found(mode, size) if mode else None
        error, _, _, mode, _, _, _, size = fields[1:9]
        if error in _MISSING:
            return None
        if error:
            raise UserError(f"{path}: the device does not let us look there ({os.strerror(error)})")
        return Found(mode, size)

    def send(self, source: IO[bytes], destination: str, mode: int) -> None:
        """Write a file on the device, making the directories above it. Raises NoRoom when it is full."""
        if os.fstat(source.fileno()).st_size >= SIZE_LIMIT_BYTES:
            raise UserError(f"{source.name}: 4 GB and more cannot be sent over ADB")
        self._stream.send(_request(b"SEND", f"{destination},{mode | mode_bits.S_IFREG}"), self._deadline)
        try:
            self._send_content(source)
            # the number is the time of its last change; nothing here looks at it, but 0 would be 1970
            self._stream.send(_REQUEST.pack(b"DONE", int(os.fstat(source.fileno()).st_mtime) & 0xFFFFFFFF), self._deadline)
        except TransientError:
            self._said_why(destination)
            raise
        name, length = _REQUEST.unpack(receive_exactly(self._stream, _REQUEST.size, self._deadline))
        if name == b"FAIL":
            raise self._failed(destination, length)
        if name != b"OKAY":
            raise TransientError(f"the device does not speak the sync protocol: {name!r}")

    def _send_content(self, source: IO[bytes]) -> None:
        """Chunks, a megabyte to a call: each call costs the same, however little it sends."""
        step = _REQUEST.size + CHUNK_BYTES
        buffer = memoryview(bytearray(step * _CHUNKS_AT_ONCE))
        while True:
            used = 0
            for start in range(0, len(buffer), step):
                body = start + _REQUEST.size
                read = source.readinto(buffer[body : start + step])  # type: ignore[attr-defined]
                if not read:
                    break
                _REQUEST.pack_into(buffer, start, b"DATA", read)
                used = body + read
                if read < CHUNK_BYTES:
                    break
            if not used:
                return
            self._stream.send(buffer[:used], self._deadline)

    def _said_why(self, path: str) -> None:
        """After a connection that broke while sending: the device may have said why before it hung up."""
        try:
            name, length = _REQUEST.unpack(receive_exactly(self._stream, _REQUEST.size, self._deadline.sooner(1.0)))
        except EdgedeployError:
            return
        if name == b"FAIL":
            raise self._failed(path, length) from None

    def fetch(self, source: str, destination: IO[bytes], stated_bytes: int) -> None:
        """Read a file of about `stated_bytes`. Raises TransientError when the device does not give it."""
        if stated_bytes >= SIZE_LIMIT_BYTES:
            raise UserError(f"{source}: 4 GB and more cannot be fetched over ADB")
        self._stream.send(_request(b"RECV", source), self._deadline)
        left = stated_bytes + _GROWTH_BYTES
        while True:
            name, length = _REQUEST.unpack(receive_exactly(self._stream, _REQUEST.size, self._deadline))
            if name == b"DONE":
                return
            if name == b"FAIL":
                raise self._failed(source, length)
            left -= length
            if name != b"DATA" or length > CHUNK_BYTES or left < 0:
                raise TransientError(f"{source}: what the device sends is not that file ({name!r}, {length} bytes)")
            while length:
                piece = self._stream.receive(length, self._deadline)
                if not piece:
                    raise TransientError(f"{source}: the connection to the device was lost")
                destination.write(piece)
                length -= len(piece)

    def _failure(self, path: str) -> EdgedeployError:
        (length,) = struct.unpack("<I", receive_exactly(self._stream, 4, self._deadline))
        return self._failed(path, length)

    def _failed(self, path: str, length: int) -> EdgedeployError:
        reason = printable(receive_exactly(self._stream, min(length, CHUNK_BYTES), self._deadline))
        if "No space left" in reason:
            return NoRoom(f"the device is full: make room on it ({path}: {reason})")
        return TransientError(f"{path}: {reason}")


def _request(name: bytes, path: str) -> bytes:
    encoded = path.encode("utf-8", "surrogateescape")
    if len(encoded) > _PATH_LIMIT_BYTES:
        raise UserError(f"a path on the device can have {_PATH_LIMIT_BYTES} bytes at most: {path[:80]!r}…")
    return _REQUEST.pack(name, len(encoded)) + encoded
