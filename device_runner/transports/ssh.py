"""A board over SSH. All of it goes through programs that are run there, so a board without an SFTP server does as well."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import AsyncGenerator, Iterator, Sequence
from pathlib import Path
from typing import IO

import asyncssh

from device_runner.deadline import Deadline
from device_runner.transports import posix
from device_runner.transports.base import NOT_FOUND, Completed, Stat, Target, relative
from device_runner.transports.ssh_command import Left, end_left, run, started
from device_runner.transports.ssh_link import GRACE_SEC, LOGIN_SEC, Link
from device_runner.transports.ssh_ports import Ports
from device_runner.transports.ssh_settings import Settings, parse
from edgedeploy.bundle import file_sha256
from edgedeploy.errors import EdgedeployError, TransientError, UserError

#: the largest file that is fetched: more than the largest sample file, and than the outputs of an evaluation
MAX_PULL_BYTES = 4 * 2**30
_MAX_LINE_BYTES = 2**20
_CHUNK_BYTES = 2**18

Connection = asyncssh.SSHClientConnection


class SshTransport:
    """See base.Transport. Connects when it is made."""

    kind = "ssh"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = ""
        self._ports = Ports()
        self._left: Left = []
        self._link = Link(settings, self._ready)
        try:
            self._link.call(_nothing, Deadline.after(LOGIN_SEC), "logging in")
        except BaseException:
            self._link.close()
            raise

    async def _ready(self, connection: Connection) -> None:
        root = posix.root_of(await run(connection, posix.make_root(self._settings.work_root), None))
        if self._root not in ("", root):
            raise UserError(f"{self._settings.hop}: its work directory was {self._root}, now it is {root}; another board?")
        self._root = root
        await end_left(connection, self._left)
        await self._ports.again(connection)

    def path(self, relative_path: str) -> str:
        return f"{self._root}/{relative(relative_path)}"

    def run(self, argv: Sequence[str], deadline: Deadline) -> Completed:
        return self._link.call(lambda connection: run(connection, argv, self._left), deadline, " ".join(argv)[:200])

    def stream(self, argv: Sequence[str], deadline: Deadline) -> Iterator[bytes]:
        what = " ".join(argv)[:200]
        lines = self._link.call(lambda connection: _held(_lines(connection, argv, self._left)), deadline, what)
        try:
            while (line := self._link.call(lambda connection: anext(lines, None), deadline, what)) is not None:
                yield line
        finally:
            with contextlib.suppress(EdgedeployError):
                self._link.call(lambda connection: lines.aclose(), Deadline.after(2 * GRACE_SEC), what)

    def push(
        self, source: Path, destination: str, deadline: Deadline, *, executable: bool = False, sha256: str = ""
    ) -> bool:  # fmt: skip
        relative(destination)
        digest, size, mode = sha256 or file_sha256(source), source.stat().st_size, "0700" if executable else "0600"

        async def send(connection: Connection) -> bool:
            asked = posix.prepare(self._root, destination, digest, size, mode)
            if not posix.to_send(await run(connection, asked, self._left), destination, size):
                return False
            arguments = posix.receive(self._root, destination, digest, mode)
            async with started(connection, arguments, self._left, feeds=True) as program:
                # the far side may end first, when it is full; it says so itself
                with contextlib.suppress(BrokenPipeError), source.open("rb") as file:
                    while piece := _read(file, source):
                        program.stdin.write(piece)
                        await program.stdin.drain()
                    program.stdin.write_eof()
                posix.check(await program.completed(), destination)
            return True

        return self._link.call(send, deadline, f"sending {source.name}")

    def pull(self, source: str, destination: Path, deadline: Deadline) -> None:
        relative(source)
        handle, name = tempfile.mkstemp(prefix=f".{destination.name}.", suffix=".part", dir=destination.parent)
        out = os.fdopen(handle, "wb", buffering=0)

        async def fetch(connection: Connection) -> None:
            size = 0
            async with started(connection, posix.fetch(self._root, source), self._left) as program:
                while piece := await program.stdout.read(_CHUNK_BYTES):
                    size += len(piece)
                    if size > MAX_PULL_BYTES:
                        raise TransientError(f"{source}: has no end on the device; given up after {size // 2**20} MiB")
                    _write(out, piece, destination)
                posix.check(await program.completed(), source)

        try:
            self._link.call(fetch, deadline, f"fetching {source}")
            Path(name).rename(destination)
        finally:
            out.close()
            Path(name).unlink(missing_ok=True)

    def forward(self, port: int, deadline: Deadline) -> int:
        return self._port(False, port, deadline)

    def reverse(self, port: int, deadline: Deadline) -> int:
        return self._port(True, port, deadline)

    def _port(self, reverse: bool, port: int, deadline: Deadline) -> int:
        what = f"leading port {port} on"
        return self._link.call(lambda connection: self._ports.open(connection, reverse, port), deadline, what)

    def unforward(self, port: int, deadline: Deadline) -> None:
        self._link.call(lambda connection: self._ports.take_back(False, port), deadline, f"taking port {port} back")

    def unreverse(self, port: int, deadline: Deadline) -> None:
        self._link.call(lambda connection: self._ports.take_back(True, port), deadline, f"taking port {port} back")

    def stat(self, path: str, deadline: Deadline) -> Stat | None:
        return posix.stat_of(self.run(posix.stat(self._root, path), deadline), path)

    def remove(self, path: str, deadline: Deadline) -> None:
        completed = self.run(posix.remove(self._root, path), deadline)
        if completed.exit_code != posix.ABSENT:
            posix.check(completed, path)

    def close(self) -> None:
        self._link.close()


async def _nothing(connection: Connection) -> None:
    """To have a connection is all."""


async def _held(lines: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    return lines


async def _lines(connection: Connection, argv: Sequence[str], left: Left) -> AsyncGenerator[bytes, None]:
    pending, printed = b"", False
    async with started(connection, argv, left, quiet=True) as program:
        while piece := await program.stdout.read(_CHUNK_BYTES):
            *lines, pending = (pending + piece).split(b"\n")
            for line in lines:
                yield line
                printed = True
            if len(pending) > _MAX_LINE_BYTES:
                raise TransientError(f"{argv[0]}: prints a line without end on the device; it was ended")
        code = await program.finished()
    if pending:
        yield pending
    elif code == NOT_FOUND and not printed:
        raise UserError(f"{argv[0]}: not found")


# a file of this host that fails must not be taken for the connection: both are an OSError


def _read(file: IO[bytes], source: Path) -> bytes:
    try:
        return file.read(_CHUNK_BYTES)
    except OSError as error:
        raise UserError(f"{source}: cannot be read: {error.strerror}") from None


def _write(file: IO[bytes], piece: bytes, destination: Path) -> None:
    rest = memoryview(piece)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise UserError(f"{destination}: cannot be written: {error.strerror}") from None


def connect(target: Target) -> SshTransport:
    """The board at that address. Raises UserError where address, setting, key or host key is wrong, else TransientError."""
    return SshTransport(parse(target))
