"""Logging in at a host, over jump hosts where there are any, and every way that fails as one of our errors."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncssh

from device_runner.transports.base import NotAuthorised
from device_runner.transports.ssh_hosts import HostKeys
from device_runner.transports.ssh_settings import Hop, Settings, parse_hop
from edgedeploy.errors import EdgedeployError, TransientError, UserError

#: a silent peer is taken for dead after this: one small packet each interval disturbs no measurement
_KEEPALIVE_SEC, _KEEPALIVE_MISSED = 10, 3
#: the quickest first (measured: twice chacha20 where the CPU has AES); what is missing here is refused by us as well
_CIPHERS = (
    "aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com",
    "aes128-ctr", "aes192-ctr", "aes256-ctr",
)  # fmt: skip
#: after the kinds that are known of a host, so that a key of another kind is seen, and can be told to be another
_HOST_KEYS = "+ssh-ed25519,ecdsa-sha2-*,rsa-sha2-*"
#: as many jump hosts as anybody has; a config that refers to itself ends here
_MAX_HOPS = 8


class Login:
    """All connections of one login, the jump hosts' included."""

    def __init__(self, chain: Sequence[asyncssh.SSHClientConnection]) -> None:
        self._chain = list(chain)

    @property
    def connection(self) -> asyncssh.SSHClientConnection:
        """The one to the device."""
        return self._chain[-1]

    @property
    def open(self) -> bool:
        return not any(connection.is_closed() for connection in self._chain)

    def abort(self) -> None:
        """Close at once, saying nothing to a peer that may not listen."""
        for connection in reversed(self._chain):
            connection.abort()


async def log_in(settings: Settings) -> Login:
    """Raises UserError where the user must do something (host key, login refused, name unknown), else TransientError."""
    chain: list[asyncssh.SSHClientConnection] = []
    try:
        for hop in _way(settings):
            chain.append(await _connect(hop, settings, chain[-1] if chain else None))
    except BaseException:
        Login(chain or []).abort()
        raise
    return Login(chain)


def _way(settings: Settings) -> list[Hop]:
    """The hosts to log in at one after the other, the device last."""
    way = [settings.hop]
    jumps: Sequence[Hop] | None = settings.jump
    while True:
        if jumps is None:
            stated = _options(way[0], settings).config.get("ProxyJump")
            jumps = [parse_hop(part) for part in str(stated).split(",")] if stated else []
        if not jumps:
            return way
        way = [*jumps, *way]
        # the first one may itself be behind another, as its own entry in the config says
        jumps = None if settings.jump is None else []
        if len(way) > _MAX_HOPS:
            raise UserError(f"{settings.hop}: over {_MAX_HOPS} hosts on the way; is there a loop of ProxyJump in the config?")


def _arguments(hop: Hop, settings: Settings) -> dict[str, Any]:
    """What asyncssh is told, of the hop itself."""
    return {
        "host": hop.host,
        "port": hop.port if hop.port is not None else (),
        "username": hop.user if hop.user is not None else (),
        "config": {"": (), "none": []}.get(settings.config, [settings.config]),
        "client_keys": [str(settings.identity_file)] if settings.identity_file else (),
        # nobody is there to type a password; and a device gets no way back to our agent or display, whatever the config says
        "password_auth": False,
        "kbdint_auth": False,
        "agent_forwarding": False,
        "x11_forwarding": False,
        "keepalive_interval": _KEEPALIVE_SEC,
        "keepalive_count_max": _KEEPALIVE_MISSED,
    }


def _options(hop: Hop, settings: Settings) -> asyncssh.SSHClientConnectionOptions:
    """What comes of it together with ~/.ssh/config."""
    try:
        return asyncssh.SSHClientConnectionOptions(**_arguments(hop, settings))
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise UserError(f"{hop}: a key cannot be used: {error}. One with a passphrase goes into an agent: ssh-add") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{hop}: the ssh configuration cannot be used: {error}") from None


def _known_hosts_files(settings: Settings, options: asyncssh.SSHClientConnectionOptions) -> list[Path]:
    if settings.known_hosts:
        return [settings.known_hosts]
    stated = options.config.get("UserKnownHostsFile")
    user = [Path(str(file)).expanduser() for file in stated] if isinstance(stated, list) else []
    # "none" is an empty list, and would have every key accepted; here it has every key unknown
    return [*(user or [Path("~/.ssh/known_hosts").expanduser()]), Path("/etc/ssh/ssh_known_hosts")]


def _by_hand(hop: Hop, settings: Settings, file: Path) -> list[str]:
    """The command with which a person logs in the same way and is asked about the key."""
    command = ["ssh", "-o", f"UserKnownHostsFile={file}"]
    command += ["-F", settings.config] if settings.config else []
    command += ["-i", str(settings.identity_file)] if settings.identity_file else []
    if settings.jump and hop == settings.hop:
        command += ["-J", ",".join(map(str, settings.jump))]
    command += ["-p", str(hop.port)] if hop.port else []
    return [*command, f"{hop.user}@{hop.host}" if hop.user else hop.host, "true"]


async def _connect(hop: Hop, settings: Settings, tunnel: asyncssh.SSHClientConnection | None) -> asyncssh.SSHClientConnection:
    options = _options(hop, settings)
    files = _known_hosts_files(settings, options)
    judge = HostKeys(hop, files, settings.host_key_policy, _by_hand(hop, settings, files[0]))
    arguments = _arguments(hop, settings)
    if not options.config.get("Ciphers"):
        arguments["encryption_algs"] = _CIPHERS
    if not options.config.get("HostKeyAlgorithms"):
        arguments["server_host_key_algs"] = _HOST_KEYS
    if tunnel is not None:
        arguments["proxy_command"] = None
    try:
        connection = await asyncssh.connect(
            **arguments, tunnel=tunnel, known_hosts=judge.look_up, client_factory=lambda: judge
        )  # fmt: skip
    except (asyncssh.Error, OSError, ValueError) as error:
        raise _error(hop, options, judge, error, over_a_jump=tunnel is not None) from None
    judge.remember()
    return connection


def _error(
    hop: Hop, options: asyncssh.SSHClientConnectionOptions, judge: HostKeys, error: Exception, *, over_a_jump: bool
) -> EdgedeployError:
    text = str(error)
    where = f"{hop} (port {options.port})" if hop.port is None else str(hop)
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return judge.refusal(error)
    if isinstance(error, asyncssh.KeyExchangeFailed) and "No matching" in text:
        return UserError(f"{where}: {text}; its sshd is too old or too strict for us")
    if isinstance(error, asyncssh.PermissionDenied):
        copy = ["ssh-copy-id", *(["-p", str(options.port)] if options.port != 22 else []), f"{options.username}@{hop.host}"]
        return NotAuthorised(
            f"{where}: does not let {options.username} in with any of our keys. Put one there ({shlex.join(copy)}), add yours "
            "to the agent (ssh-add), or name one (identity_file)"
        )
    if isinstance(error, socket.gaierror) and error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", -5)):
        return UserError(f"{hop}: there is no host of that name, neither in the network nor in the ssh configuration")
    if isinstance(error, asyncssh.ChannelOpenError) and over_a_jump:
        return TransientError(f"{where}: the jump host cannot reach it: {text}")
    if isinstance(error, ValueError) and not isinstance(error, asyncssh.Error):
        return UserError(f"{where}: {text}")
    return TransientError(f"{where}: cannot be reached: {text[:500] or type(error).__name__}")
