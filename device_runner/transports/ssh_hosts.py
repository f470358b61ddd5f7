"""Whether a host is the one it says it is: known_hosts files, and what to do about a key that is not in them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh

from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from device_runner.transports.ssh_settings import Hop, Policy

_SSH_PORT = 22


class HostKeys(asyncssh.SSHClient):
    """One login's judge of the host key: asked by asyncssh, and asked by us afterwards why it said no.

    files: in the order of ssh; a new key goes into the first. There is no policy under which a key that is another than the
    known one, or a revoked one, is accepted.
    """

    def __init__(self, hop: Hop, files: Sequence[Path], policy: Policy, command: Sequence[str]) -> None:
        self._hop, self._files, self._policy, self._command = hop, files, policy, command
        self._known = asyncssh.import_known_hosts("")
        for file in files:
            self._load(file)
        self._expected: list[asyncssh.SSHKey] = []
        self._offered: asyncssh.SSHKey | None = None
        self._to_write: str | None = None

    def _load(self, file: Path) -> None:
        try:
            self._known.load(file.read_text("utf-8"))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise UserError(f"{file}: cannot be read as a known_hosts file: {error}") from None

    def look_up(self, host: str, address: str, port: int | None) -> Any:
        """What asyncssh asks first: the keys that are known for a host, as its `match_known_hosts` has them."""
        trusted, authorities, revoked, *certificates = self._known.match(host, address, port)
        if port is not None:
            # asyncssh falls back to the name without its port when nothing is trusted, and forgets what is revoked with it
            for name in (host, address):
                revoked = [*revoked, *self._known.match(f"[{name}]:{port}", "", None)[2]]
        self._expected = list(trusted)
        return trusted, authorities, revoked, *certificates

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Of a key that is not among the known ones."""
        self._offered = key
        if self._expected or self._policy != "accept-new":
            return False
        name = host if port == _SSH_PORT else f"[{host}]:{port}"
        self._to_write = f"{name} {key.export_public_key().decode().strip()}\n"
        return True

    def remember(self) -> None:
        """Write down a key that was accepted as new, once its owner has proven to have it."""
        if self._to_write is None:
            return
        file = self._files[0]
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", encoding="utf-8") as out:
            out.write(self._to_write)
        self._to_write = None

    def refusal(self, error: Exception) -> UserError:
        """Why the host was refused, with what to do about it. `error` is what asyncssh made of it."""
        offered = f"{_kind(self._offered)} {self._offered.get_fingerprint()}" if self._offered else str(error)
        files = " or ".join(map(str, self._files))
        if "revoked" in str(error):
            return UserError(f"{self._hop}: its host key is marked @revoked in {files}: it must not be trusted any more")
        if not self._expected:
            kind = _kind(self._offered).removeprefix("ssh-").partition("-")[0]
            return UserError(
                f"{self._hop}: its host key ({offered}) is not known, so it could be anybody's. Compare it with what the board "
                f"says of itself (ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub), then accept it into {self._files[0]} with: "
                f"{shlex.join(self._command)}"
            )
        name = self._hop.host if self._hop.port in (None, _SSH_PORT) else f"[{self._hop.host}]:{self._hop.port}"
        known = ", ".join(dict.fromkeys(f"{_kind(key)} {key.get_fingerprint()}" for key in self._expected))
        return UserError(
            f"{self._hop}: HOST KEY CHANGED: it offers a key {offered}, {files} has {known}. Either the board was installed "
            f"anew, or something between us and it answers in its place; nothing was sent. If it was installed anew: "
            f"{shlex.join(['ssh-keygen', '-R', name, '-f', str(self._files[0])])}"
        )


def _kind(key: asyncssh.SSHKey | None) -> str:
    return key.get_algorithm() if key is not None else "ssh-ed25519"
