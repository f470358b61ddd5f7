"""A lab whose head listens beyond 127.0.0.1: everything between its hosts goes over TLS, and is measured all the same."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from pathlib import Path

from device_runner.results.store import Store
from tests.device_runner.lab.hosts import Cluster, cluster
from tests.device_runner.lab.test_cluster import BRIEF, check_nothing_lost_or_doubled, written


def test_a_plan_is_worked_through_over_tls(tmp_path: Path) -> None:
    (tmp_path / "hosts").mkdir()
    with cluster(tmp_path / "hosts", ["lab1"], listen="127.0.0.2") as made:
        speaks_tls_alone(made)
        (tmp_path / "plan").mkdir()
        plan = written(tmp_path / "plan", {"artifacts": ["one"], "devices": ["local@lab1"]}, plan=BRIEF)
        document = json.loads(made.hosts["lab1"].output_of("run", plan, "--cluster", made.address, "--json"))
        check_nothing_lost_or_doubled(Store(tmp_path / "plan/runs"), document["jobs"])


def speaks_tls_alone(made: Cluster) -> None:
    """What answers at the head's port has the authority's certificate, and says nothing to who has none."""
    home = made.hosts["lab1"].root / "state/cluster/host"
    context = ssl.create_default_context(cafile=str(home / "ca.pem"))
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    assert first_bytes(context, made.port) == b""
    context.load_cert_chain(home / "host.pem", home / "host.key")
    assert first_bytes(context, made.port) != b""


def first_bytes(context: ssl.SSLContext, port: int) -> bytes:
    """What the other end says by itself; nothing when it hangs up."""
    with contextlib.closing(context.wrap_socket(socket.create_connection(("127.0.0.2", port), 30))) as stranger:
        try:
            return stranger.recv(100)
        except (ssl.SSLError, ConnectionResetError):
            # in TLS 1.3 a refusal comes with the first bytes that are read
            return b""
