"""Ray's ports give code execution to whoever reaches them: what keeps others away from them.

A token, always (Ray's own, RAY_AUTH_MODE=token), which every call carries. Ports on the loopback alone; else both sides show a
certificate of the cluster's own authority (Ray's TLS), since the token would cross the network in the clear. Ray listens on all
interfaces as soon as its address is not 127.0.0.1, whatever that address is (measured, 2.60).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from device_runner.lab.cluster.home import Address, Home
from edgedeploy.errors import UserError

#: seconds without an answer after which Ray takes a host for gone; a worker stops by itself before its lease (30 s) ends
_HEALTH = {
    "RAY_health_check_initial_delay_ms": "2000", "RAY_health_check_period_ms": "2000",
    "RAY_health_check_timeout_ms": "4000", "RAY_health_check_failure_threshold": "3",
    # a host whose head is gone ends its workers, and joins again
    "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
}  # fmt: skip
_LOGS = {"RAY_ROTATION_MAX_BYTES": "2000000", "RAY_ROTATION_BACKUP_COUNT": "1", "RAY_LOG_TO_DRIVER": "0"}
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0", "RAY_enable_metrics_collection": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # a measurement is not to be killed because the host has little memory left
    "RAY_memory_monitor_refresh_ms": "0",
}  # fmt: skip


def check(address: Address, *, has_tls: bool, insecure: bool) -> None:
    """Raises UserError for ports that others would reach without TLS. Before anything listens, and before anything connects."""
    if address.is_loopback or has_tls or insecure:
        return
    raise UserError(
        f"{address}: beyond 127.0.0.1, whoever reads the network would get the token, and with it every host of the lab. Use "
        "TLS (`edgedeploy lab head --listen ADDRESS` makes the certificates, `edgedeploy lab invite` one for each host), or, "
        "where nobody else is on that network, --insecure-no-tls"
    )


def environment(home: Home, address: Address, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables that Ray's processes and ours are to see."""
    found = dict(os.environ if base is None else base)
    for name in [name for name in found if name.startswith("RAY_")]:
        # what a shell happens to say of some other cluster
        del found[name]
    found |= _HEALTH | _LOGS | _QUIET
    found |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(home.token), "RAY_USE_TLS": "0"}
    if home.has_tls():
        found |= {
            "RAY_USE_TLS": "1", "RAY_TLS_CA_CERT": str(home.authority), "RAY_TLS_SERVER_CERT": str(home.certificate),
            "RAY_TLS_SERVER_KEY": str(home.key),
        }  # fmt: skip
    found["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    return found
