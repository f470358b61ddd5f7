"""What a host keeps of the cluster it belongs to: address, token, certificates, and Ray's own files."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from device_runner.durable import write_whole
from device_runner.state import state_root
from edgedeploy.errors import UserError

DEFAULT_PORT = 6399
#: of the sockets that Ray makes below its directory: /session_<date>_<time>_<micros>_<pid>/sockets/plasma_store
_SOCKET_BYTES, _MOST_SOCKET_BYTES = 68, 107
_SESSIONS_KEPT = 2


@dataclass(frozen=True)
class Address:
    """Where a head is: an IPv4 address, as numbers, and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """`10.0.0.5:6399`, or without a port. Raises UserError."""
        host, _, port = text.partition(":")
        try:
            number = int(port or DEFAULT_PORT)
            found = str(ipaddress.IPv4Address(host))
        except ValueError:
            raise UserError(
                f"{text[:100]!r}: the head's address is numbers and a port, such as 10.0.0.5:{DEFAULT_PORT}"
            ) from None
        if not 1024 <= number <= 65535:
            raise UserError(f"{text[:100]!r}: the port is from 1024 to 65535")
        return cls(found, number)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it. With any other address of 127/8, Ray listens on all interfaces."""
        return self.host == "127.0.0.1"

    def is_reached(self, seconds: float = 5.0) -> bool:
        """Whether something listens there."""
        try:
            socket.create_connection((self.host, self.port), seconds).close()
        except OSError:
            return False
        return True


@dataclass(frozen=True)
class Home:
    """A directory of this user alone: the head's, or a lab host's. One machine may be both."""

    root: Path

    @classmethod
    def of_head(cls) -> Home:
        return cls(state_root() / "cluster" / "head")

    @classmethod
    def of_host(cls) -> Home:
        return cls(state_root() / "cluster" / "host")

    def make(self) -> Home:
        """Make the directory, for this user alone."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        return self

    @property
    def token(self) -> Path:
        return self.root / "token"

    @property
    def authority(self) -> Path:
        return self.root / "ca.pem"

    @property
    def authority_key(self) -> Path:
        """Of the head alone."""
        return self.root / "ca.key"

    @property
    def certificate(self) -> Path:
        return self.root / "host.pem"

    @property
    def key(self) -> Path:
        return self.root / "host.key"

    @property
    def log(self) -> Path:
        return self.root / "ray.log"

    def has_tls(self) -> bool:
        return all(file.is_file() for file in (self.authority, self.certificate, self.key))

    def keep_secret(self, file: Path, content: str) -> None:
        """Write a file that only this user reads."""
        write_whole(file, content.encode(), mode=0o600)

    def make_token(self) -> None:
        """The cluster's one secret, made once: whoever has it can run programs on every host of it."""
        if not self.token.is_file():
            self.keep_secret(self.token, secrets.token_hex(32))

    def forget(self) -> None:
        """What was kept of another cluster."""
        for file in (self.token, self.authority, self.authority_key, self.certificate, self.key):
            file.unlink(missing_ok=True)

    @contextmanager
    def used(self, what: str) -> Iterator[None]:
        """Inside, this host's place in the cluster is ours. Raises UserError when another process has it."""
        descriptor = os.open(self.root / "used.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise UserError(
                f"{what} runs already on this host, from {self.root}; stop it first (Ctrl-C where it runs)"
            ) from None
        try:
            yield
        finally:
            os.close(descriptor)

    def ray_directory(self) -> Path:
        """Where Ray keeps sockets and logs: below this directory, by a shorter name where its path is too long for a socket."""
        real = self.root / "ray"
        real.mkdir(exist_ok=True, mode=0o700)
        if len(os.fsencode(real)) + _SOCKET_BYTES <= _MOST_SOCKET_BYTES:
            return real
        note = self.root / "short"
        short = Path(os.fsdecode(note.read_bytes())) if note.is_file() else None
        if (
            short is not None
            and short.is_symlink()
            and short.parent.stat().st_uid == os.geteuid()
            and short.resolve() == real.resolve()
        ):
            return short
        short = Path(tempfile.mkdtemp(prefix="edl-")) / "r"
        short.symlink_to(real)
        write_whole(note, os.fsencode(short))
        return short

    def tidy(self) -> None:
        """Remove what Ray left of earlier sessions, the latest apart."""
        # and its word of where the last head was: beside a lab host of the same machine, which goes on looking for a head that
        # was killed, Ray would take that head for alive, and start none
        (self.root / "ray" / "ray_current_cluster").unlink(missing_ok=True)
        sessions = [each for each in (self.root / "ray").glob("session_2*") if each.is_dir() and not each.is_symlink()]
        for session in sorted(sessions)[:-_SESSIONS_KEPT]:
            shutil.rmtree(session, ignore_errors=True)
