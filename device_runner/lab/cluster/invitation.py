"""What a host needs to join: one file, written on the head, carried over by the user (scp), read once. It is a secret."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from device_runner.lab.cluster import certificates
from device_runner.lab.cluster.home import Address, Home
from edgedeploy.errors import UserError
from edgedeploy.regular_file import read_regular
from edgedeploy.signature import SafeName, Strict

_MOST_BYTES = 64 * 1024
Pem = Annotated[str, Field(max_length=16_000)]


class Invitation(Strict):
    """head, host: addresses. The certificates are "" in a cluster that is on the loopback, or insecure."""

    edgedeploy_lab_invitation: Annotated[int, Field(ge=1, le=1)] = 1
    head: str
    name: SafeName
    host: str
    token: Annotated[str, Field(pattern="[0-9a-f]{64}")]
    authority: Pem = ""
    certificate: Pem = ""
    key: Pem = ""


class Joined(Strict):
    """What a host keeps of its invitation beside the secrets. head: where the head is; host: this host's own address.

    insecure: its user said that the cluster may do without TLS.
    """

    head: str
    name: SafeName
    host: str
    insecure: bool = False


def write(home: Home, head: Address, name: str, host: str) -> Invitation:
    """For the host that will be called `name` and is at the address `host`."""
    host = Address.parse(host).host
    if head.is_loopback and host != head.host:
        raise UserError(
            f"the head listens on {head.host}, which {host} does not reach; start it with `edgedeploy lab head "
            "--listen ADDRESS`, an address of this machine that the other hosts reach"
        )
    if not head.is_loopback and host == "127.0.0.1":
        raise UserError(f"{name}: say where the other hosts reach it, with --address; 127.0.0.1 is each host's own")
    pair = certificates.issue(home, host) if home.has_tls() else ("", "")
    authority = home.authority.read_text() if pair[0] else ""
    try:
        return Invitation(
            head=str(head), name=name, host=host, token=home.token.read_text().strip(), authority=authority,
            certificate=pair[0], key=pair[1],
        )  # fmt: skip
    except ValidationError:
        raise UserError(f"{name[:100]!r}: a host is called by letters, digits and _ . + -") from None


def read(path: Path) -> Invitation:
    """Raises UserError for what is none."""
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; `edgedeploy lab invite` writes one on the head")
    try:
        found = Invitation.model_validate_json(read_regular(path, _MOST_BYTES))
    except (OSError, ValidationError, UserError):
        raise UserError(f"{path}: is no invitation; `edgedeploy lab invite` writes one on the head") from None
    Address.parse(found.head)
    return found


def accept(invitation: Invitation, home: Home, *, insecure: bool = False) -> Joined:
    """Keep what it says; what was kept of another cluster goes."""
    home.make().forget()
    home.keep_secret(home.token, invitation.token)
    if invitation.certificate:
        home.keep_secret(home.authority, invitation.authority)
        home.keep_secret(home.certificate, invitation.certificate)
        home.keep_secret(home.key, invitation.key)
    return remember(home, Joined(head=invitation.head, name=invitation.name, host=invitation.host, insecure=insecure))


def remember(home: Home, joined: Joined) -> Joined:
    """Write down which cluster this host is of."""
    home.keep_secret(home.root / "joined.json", joined.model_dump_json() + "\n")
    return joined


def joined(home: Home) -> Joined | None:
    """Which cluster this home is of."""
    try:
        return Joined.model_validate_json(read_regular(home.root / "joined.json", _MOST_BYTES))
    except (OSError, ValidationError, UserError):
        return None


def membership(address: Address) -> tuple[Home, Joined]:
    """What this host has of the cluster whose head is there. Raises UserError when it is not of that cluster."""
    others = []
    for home in (Home.of_head(), Home.of_host()):
        found = joined(home)
        if found is not None and found.head == str(address):
            return home, found
        others += [found.head] if found is not None else []
    known = f"it is of {' and '.join(others)}; " if others else ""
    raise UserError(
        f"this host is not of the cluster {address}: {known}join it with `edgedeploy lab join FILE`, a file that "
        "`edgedeploy lab invite` writes on the head (docs/lab-cluster.md)"
    )
