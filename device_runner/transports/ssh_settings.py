"""What an SSH device is reached by: its address and its settings, checked before anything is connected."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from device_runner.transports.base import Target

#: a host name, an address or an alias of ~/.ssh/config. Not all that ssh takes: what may begin a command's option may not
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:%-]{0,252}|::[A-Za-z0-9:.%]{1,60}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\+-]{0,127}")

Policy = Literal["strict", "accept-new"]


@dataclass(frozen=True)
class Hop:
    """One host to log in at. What is None is asked of ~/.ssh/config, which has ssh's own defaults."""

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (f"{self.user}@" if self.user else "") + host + (f":{self.port}" if self.port else "")


@dataclass(frozen=True)
class Settings:
    """See docs/devices-ssh.md. Files are absolute paths of this host, `work_root` is a path on the device."""

    hop: Hop
    #: hosts on the way, nearest first; None: as ~/.ssh/config has it
    jump: tuple[Hop, ...] | None = None
    identity_file: Path | None = None
    known_hosts: Path | None = None
    #: "" is ~/.ssh/config, "none" is none, as for ssh -F
    config: str = ""
    work_root: str = ""
    host_key_policy: Policy = "strict"


def parse_hop(address: str) -> Hop:
    """HOST, USER@HOST, USER@HOST:PORT or USER@[IPV6]:PORT. Raises UserError for anything else."""
    user, _, rest = address.rpartition("@")
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(\d{1,5}))?", rest)
    plain = re.fullmatch(r"([^:]*)(?::(\d{1,5}))?", rest)
    found = bracketed or plain
    if found is None or not _HOST.fullmatch(found[1]) or ("@" in address and not _USER.fullmatch(user)):
        raise UserError(f"{address[:200]!r} is not an SSH address; give HOST, USER@HOST or USER@HOST:PORT (IPv6 in brackets)")
    return Hop(found[1], user or None, _port(found[2]) if found[2] else None)


def _port(text: str) -> int:
    if not re.fullmatch(r"\d{1,5}", text) or not 0 < int(text) < 65536:
        raise UserError(f"{text[:20]!r} is not a port; give a number from 1 to 65535")
    return int(text)


def _file(name: str, text: str, *, must_exist: bool) -> Path:
    path = Path(text).expanduser().absolute()
    if must_exist and not path.is_file():
        raise UserError(f"{name}: {path}: there is no such file")
    return path


def _key(text: str) -> Path:
    path = _file("identity_file", text, must_exist=True)
    if path.stat().st_mode & 0o077:
        raise UserError(f"identity_file: {path} can be read by others, so it is no secret; chmod 600 it")
    return path


def _jump(text: str) -> tuple[Hop, ...]:
    return () if text == "none" else tuple(parse_hop(part.strip()) for part in text.split(","))


def _work_root(text: str) -> str:
    if not re.fullmatch(r"(~/|/)[^\0=]*[^\0=/]", text) or not text.isprintable() or ".." in text.split("/"):
        raise UserError(f"work_root: {text[:200]!r} is no directory for us; give /PATH or ~/PATH, without '=' or '..'")
    return text


def _policy(text: str) -> Policy:
    if text not in ("strict", "accept-new"):
        raise UserError(
            f"host_key_policy: {text[:50]!r}; there is strict (a host key must be known) and accept-new (the first is trusted)"
        )
    return text  # type: ignore[return-value]


def _user(text: str) -> str:
    if not _USER.fullmatch(text):
        raise UserError(f"user: {text[:100]!r} is not a user name")
    return text


_PARSERS: dict[str, Callable[[str], object]] = {
    "port": _port,
    "user": _user,
    "jump": _jump,
    "identity_file": _key,
    "known_hosts": lambda text: _file("known_hosts", text, must_exist=False),
    "config": lambda text: text if text == "none" else str(_file("config", text, must_exist=True)),
    "work_root": _work_root,
    "host_key_policy": _policy,
}


def parse(target: Target) -> Settings:
    """The settings of a device. Raises UserError that names what there is, for one that is unknown or wrong."""
    unknown = sorted(set(target.settings) - set(_PARSERS))
    if unknown:
        raise UserError(f"ssh has no setting {unknown[0][:100]!r}; there is {', '.join(_PARSERS)}")
    given = {name: _PARSERS[name](text) for name, text in target.settings.items()}
    hop = parse_hop(target.address)
    for name, in_address in (("port", hop.port), ("user", hop.user)):
        if name in given and in_address not in (None, given[name]):
            raise UserError(f"the address has the {name} {in_address} and the settings {given[name]}; keep one of them")
    hop = Hop(hop.host, given.pop("user", hop.user), given.pop("port", hop.port))  # type: ignore[arg-type]
    return Settings(hop, **given)  # type: ignore[arg-type]
