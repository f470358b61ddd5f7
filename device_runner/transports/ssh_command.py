"""One program on the far side of a connection: started so that it can be ended, its output bounded, its end waited for.

sshd hands what it is asked to run to the account's shell. That shell first says where our program's output begins (whatever a
login prints comes before), and which process it is; then it becomes the program, in a plain environment.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncssh

from device_runner.transports import posix
from device_runner.transports.base import Completed
from device_runner.transports.ssh_link import GRACE_SEC
from edgedeploy.errors import TransientError, UserError

#: what a program may print, each of stdout and stderr; one that prints more is ended
MAX_OUTPUT_BYTES = 32 * 2**20
#: what a login may print before our program begins
_MAX_LOGIN_BYTES = 2**20
_CHUNK_BYTES = 2**18
#: (pid, start time) of programs that may still run on the device
Left = list[tuple[int, int]]
_MARK = "edgedeploy:begins"
# a measurement must not depend on what a login puts into the environment (OMP_NUM_THREADS, LD_PRELOAD)
_BEGIN = (
    f'[ -r /proc/$$/stat ] && read -r s </proc/$$/stat; echo {_MARK}; echo "{_MARK} $$ $s" >&2; '
    'exec env -i HOME="$HOME" USER="$USER" PATH="$PATH" LC_ALL=C '
)


def command_line(argv: Sequence[str], *, quiet: bool = False) -> str:
    """`argv` for a POSIX shell that becomes that program. quiet: its stderr is thrown away."""
    if not argv or any("\0" in word for word in argv) or "=" in argv[0]:
        raise UserError(f"{list(argv)[:3]!r}: not a program and its arguments")
    return _BEGIN + shlex.join(argv) + (" 2>/dev/null" if quiet else "")


@dataclass
class Program:
    """A program that has begun. `stdout` gives what it prints, from its first byte on."""

    channel: asyncssh.SSHClientChannel[bytes]
    stdin: asyncssh.SSHWriter[bytes]
    stdout: asyncssh.SSHReader[bytes]
    stderr: asyncssh.SSHReader[bytes]

    async def completed(self) -> Completed:
        """Its output and exit code, once it has ended. Raises TransientError when it prints without end."""
        # together: one that is not read would keep the program from writing the other
        reading = [asyncio.ensure_future(_read_bounded(reader)) for reader in (self.stdout, self.stderr)]
        try:
            stdout, stderr = await asyncio.gather(*reading)
        finally:
            for task in reading:
                task.cancel()
        return Completed(await self.finished(), stdout, stderr)

    async def finished(self) -> int:
        """Its exit code, 128 + N for a signal N, once its output was read. Raises ConnectionLost when it is not to be had."""
        await self.channel.wait_closed()
        killed = self.channel.get_exit_signal()
        if killed is not None:
            return 128 + int(getattr(signal, f"SIG{killed[0]}", 0))
        code = self.channel.get_exit_status()
        if code is None or code < 0:
            raise asyncssh.ConnectionLost("the connection ended before the program did")
        return code


@asynccontextmanager
async def started(
    connection: asyncssh.SSHClientConnection, argv: Sequence[str], left: Left | None, *,
    quiet: bool = False, feeds: bool = False,
) -> AsyncIterator[Program]:  # fmt: skip
    """Start a program; it is ended on the device if the block is left before it has finished.

    left: gets it when the connection did not take even that; None: it ends by itself. feeds: stdin will be written.
    """
    command = command_line(argv, quiet=quiet)
    streams: Any = await connection.open_session(command, encoding=None, request_pty=False, env=None)
    stdin, stdout, stderr = streams
    channel: asyncssh.SSHClientChannel[bytes] = stdin.channel
    try:
        if not feeds:
            stdin.write_eof()
        pid, start = await _begin(stdin, stdout, stderr)
        try:
            yield Program(channel, stdin, stdout, stderr)
        except BaseException:
            if channel.get_exit_status() is None and channel.get_exit_signal() is None and left is not None:
                await _end(connection, pid, start, left)
            raise
    finally:
        channel.abort()


async def _begin(stdin: Any, stdout: Any, stderr: Any) -> tuple[int, int]:
    """Skip what the login printed; returns pid and start time (0 where it is not to be had)."""
    said = b""
    for reader in (stderr, stdout):
        while True:
            try:
                line = await reader.readuntil(b"\n")
            except asyncio.IncompleteReadError as error:
                said += error.partial
                await stdin.channel.wait_closed()
                if stdin.channel.get_exit_status() is None:
                    raise asyncssh.ConnectionLost("the connection ended before the program began") from None
                said += b"".join([await other.read(500) for other in (stdout, stderr)])
                text = said.decode("utf-8", "replace").strip()[-300:]
                raise UserError(
                    f"the account's login shell does not run programs, or is not a POSIX shell: {text or 'it says nothing'}"
                ) from None
            words = line.decode("ascii", "replace").strip()
            if words.startswith(_MARK):
                break
            said += line
            if len(said) > _MAX_LOGIN_BYTES:
                raise UserError("the account's login prints without end; is there a loop in its shell's start-up file?")
        if reader is stderr:
            announced = words
    found = re.fullmatch(_MARK + r" (\d{1,10})(?: .*\) (.*))?", announced)
    if not found:
        raise UserError("the account's login shell does not say which process it is; it must be a POSIX shell")
    fields = (found[2] or "").split()
    return int(found[1]), int(fields[19]) if len(fields) > 19 and fields[19].isdecimal() else 0


async def _end(connection: asyncssh.SSHClientConnection, pid: int, start: int, left: Left) -> None:
    """End a program of ours on the device. A connection that does not take even this is no use, and is closed."""
    left.append((pid, start))
    try:
        async with asyncio.timeout(GRACE_SEC):
            await end_left(connection, left)
    except (TimeoutError, asyncssh.Error, OSError, TransientError, UserError):
        connection.abort()


async def end_left(connection: asyncssh.SSHClientConnection, left: Left) -> None:
    """End what an earlier connection could not."""
    while left:
        await run(connection, posix.end(*left[-1]), None)
        left.pop()


async def run(connection: asyncssh.SSHClientConnection, argv: Sequence[str], left: Left | None) -> Completed:
    """Run a program to its end, stdin empty."""
    async with started(connection, argv, left) as program:
        return await program.completed()


async def _read_bounded(reader: asyncssh.SSHReader[bytes]) -> bytes:
    pieces, size = [], 0
    while piece := await reader.read(_CHUNK_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_OUTPUT_BYTES:
            raise TransientError(f"it prints without end; it was ended after {size // 2**20} MiB")
    return b"".join(pieces)
