"""Programs on the device: adb's shell protocol (shell,v2), in which stdout, stderr and the exit code come apart.

A packet is one byte that says what it is, the length of its data as a 32-bit little-endian number, and the data.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from device_runner.deadline import Deadline
from device_runner.transports.base import NOT_FOUND, Completed
from edgedeploy.errors import EdgedeployError, TransientError, UserError

if TYPE_CHECKING:
    from device_runner.transports.adb.stream import Link, Stream

#: stdout and stderr of one program together; what we ask for is far smaller, and a device may say anything
OUTPUT_LIMIT_BYTES = 64 * 2**20
LINE_LIMIT_BYTES = 2**20
_RECEIVE_BYTES = 2**18
_STDOUT, _STDERR, _EXIT = 1, 2, 3
_HEADER = struct.Struct("<BI")
#: to end a program whose time is up
_END_SEC = 3.0
_PID_LINE = re.compile(rb"([0-9]{1,10})\n")


def command(argv: Sequence[str]) -> bytes:
    """One line for the device's shell that runs exactly `argv`, stdin empty, after printing its own process id.

    The shell that adbd starts leads a session of its own and becomes the program, so that the number is also that of the
    process group. Raises UserError for an argument that no program can be given.
    """
    if any("\0" in word for word in argv):
        raise UserError("an argument of a program cannot hold a NUL character")
    quoted = " ".join(shlex.quote(word) for word in argv)
    return f"echo $$; exec -- {quoted} </dev/null".encode("utf-8", "surrogateescape")


class Process:
    """A program running on the device. Iterate over its output once; `exit_code` is there after that."""

    def __init__(self, link: Link, argv: Sequence[str], deadline: Deadline) -> None:
        self._link, self._argv, self._deadline = link, argv, deadline
        self.exit_code: int | None = None
        self._group: int | None = None
        self._stream: Stream = link.open(b"shell,v2,raw:" + command(argv), deadline)

    @property
    def name(self) -> str:
        return " ".join(self._argv)[:200]

    def output(self) -> Iterator[tuple[int, bytes]]:
        """(1, piece of stdout) and (2, piece of stderr) as they come. Raises TransientError when the connection is lost."""
        first = b""
        for kind, data in self._packets():
            if kind == _EXIT:
                self.exit_code = data[0] if data else None
            elif kind == _STDOUT and self._group is None:
                first += data
                if (match := _PID_LINE.match(first)) is not None:
                    self._group = int(match.group(1))
                    if rest := first[match.end() :]:
                        yield _STDOUT, rest
                elif len(first) > 11:
                    raise TransientError(f"the device's shell does not do as it was told: {first[:40]!r}")
            elif kind in (_STDOUT, _STDERR):
                yield kind, data

    def _packets(self) -> Iterator[tuple[int, bytes]]:
        """What comes until the exit code, output in pieces as they arrive: a packet's stated length is never waited for."""
        pending, kind, missing = bytearray(), 0, 0
        while True:
            piece = self._stream.receive(_RECEIVE_BYTES, self._deadline)
            if not piece:
                raise TransientError(f"the connection to the device was lost during: {self.name}")
            pending += piece
            while pending:
                if not missing:
                    if len(pending) < _HEADER.size:
                        break
                    kind, missing = _HEADER.unpack_from(pending)
                    del pending[: _HEADER.size]
                    continue
                data = bytes(pending[:missing])
                del pending[: len(data)]
                missing -= len(data)
                yield kind, data
                if kind == _EXIT:
                    return

    def end(self) -> None:
        """Let go of the program, and end it on the device when it is still running."""
        self._stream.close()
        if self.exit_code is not None or self._group is None:
            return
        # adbd tells its shell to hang up; a program may not listen to that, and its children do not hear it
        with contextlib.suppress(EdgedeployError):
            deadline = Deadline.after(_END_SEC)
            killing = self._link.open(f"shell,v2,raw:kill -9 -- -{self._group}".encode(), deadline)
            try:
                while killing.receive(_RECEIVE_BYTES, deadline):
                    pass
            finally:
                killing.close()


def run(link: Link, argv: Sequence[str], deadline: Deadline) -> Completed:
    """Run a program to its end. Raises UserError when it prints more than OUTPUT_LIMIT_BYTES."""
    process = Process(link, argv, deadline)
    said: dict[int, list[bytes]] = {_STDOUT: [], _STDERR: []}
    total = 0
    try:
        for kind, data in process.output():
            total += len(data)
            if total > OUTPUT_LIMIT_BYTES:
                raise UserError(
                    f"the device printed more than {OUTPUT_LIMIT_BYTES >> 20} MB, which is more than is taken: {process.name}"
                )
            said[kind].append(data)
    finally:
        process.end()
    if process.exit_code is None:
        raise TransientError(f"the device gave no exit code: {process.name}")
    return Completed(process.exit_code, b"".join(said[_STDOUT]), b"".join(said[_STDERR]))


def stream(link: Link, argv: Sequence[str], deadline: Deadline) -> Iterator[bytes]:
    """The lines of a program's stdout. Raises UserError when the program is not there, or when a line has no end."""
    process = Process(link, argv, deadline)
    pending, any_line = b"", False
    try:
        for kind, data in process.output():
            if kind != _STDOUT:
                continue
            *lines, pending = (pending + data).split(b"\n")
            any_line = any_line or bool(lines)
            yield from lines
            if len(pending) > LINE_LIMIT_BYTES:
                raise UserError(f"the device printed a line of more than {LINE_LIMIT_BYTES >> 20} MB: {process.name}")
        if pending:
            yield pending
        elif process.exit_code == NOT_FOUND and not any_line:
            raise UserError(f"{argv[0]}: not found on the device")
    finally:
        process.end()
