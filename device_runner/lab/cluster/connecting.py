"""Reaching a cluster: is it there, are we let in, are we of one version; and a driver's connection to its head's actor."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import signal
import threading
from typing import Any

from device_runner.lab.cluster import security
from device_runner.lab.cluster.home import Address, Home
from device_runner.lab.cluster.invitation import membership
from edgedeploy import __version__
from edgedeploy.errors import TransientError, UserError
from edgedeploy.interrupt import STOPPING

NAMESPACE, HEAD = "edgedeploy", "head"
_KEY, _SPACE = b"versions", b"edgedeploy"
_CALL_SEC = 10.0


def require_ray() -> None:
    """Raises UserError where Ray is not installed."""
    # not imported: Ray reads its environment once, when it is, and `enter` has yet to set it
    if importlib.util.find_spec("ray") is None:
        raise UserError("the lab over many hosts needs Ray: pip install 'edgedeploy[cluster]'")


def versions() -> dict[str, str]:
    """What has to be the same on all hosts of a cluster."""
    import ray

    return {"edgedeploy": __version__, "ray": ray.__version__, "python": platform.python_version()}


def difference(here: dict[str, str], there: dict[str, str], where: str) -> str:
    """One sentence on what is of another version, "" where nothing is."""
    for name, version in here.items():
        theirs = there.get(name, version)[:40]
        if theirs != version:
            fix = "make both environments with one Python" if name == "python" else f"pip install {name}=={theirs}"
            return f"this host has {name} {version}, {where} has {theirs}; give both the same ({fix})"
    return ""


def enter(home: Home, address: Address) -> None:
    """Have Ray in this process, and in those that it starts, know token and certificates. Before ray is imported."""
    from device_runner.lab.cluster.launch import keep_loopback

    wanted = security.environment(home, address)
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        del os.environ[name]
    os.environ.update({name: value for name, value in wanted.items() if name.startswith("RAY_")})
    keep_loopback()


def look(address: Address) -> dict[str, str]:
    """The head's versions, asked of itself. After `enter`. Raises UserError: not there, or not for us."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.exceptions import AuthenticationError

    if not address.is_reached():
        raise UserError(
            f"{address}: no head answers; is `edgedeploy lab head` running there, and does a firewall let this host through?"
        )
    try:
        client = GcsClient(address=str(address))
        theirs = json.loads(client.internal_kv_get(b"CLUSTER_METADATA", b"cluster", timeout=_CALL_SEC) or b"{}")
        ours = json.loads(client.internal_kv_get(_KEY, _SPACE, timeout=_CALL_SEC) or b"{}")
    except AuthenticationError:
        raise UserError(
            f"{address}: the head does not take this host's token; join anew, with a file that its `lab invite` writes"
        ) from None
    except Exception as error:
        raise UserError(
            f"{address}: something answers there that is no head this host can talk to (a head without TLS, or with other "
            f"certificates, or no head at all): {str(error)[:200]}"
        ) from None
    return {
        "edgedeploy": str(ours.get("edgedeploy", __version__)), "ray": str(theirs.get("ray_version", "")),
        "python": str(theirs.get("python_version", "")),
    }  # fmt: skip


def check_versions(address: Address) -> None:
    """Raises UserError where the head is of another version than this host. After `enter`."""
    said = difference(versions(), look(address), "the head")
    if said:
        raise UserError(f"{address}: {said}")


def announce(address: Address) -> None:
    """The head's versions, for those that look. Overwritten by none but the next head."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    GcsClient(address=str(address)).internal_kv_put(_KEY, json.dumps(versions()).encode(), True, _SPACE)


def drive(address: Address) -> None:
    """Connect this process to the cluster, through Ray's node on this host. Raises TransientError while there is none."""
    import ray

    before = {number: signal.getsignal(number) for number in STOPPING}
    try:
        ray.init(
            address=str(address), namespace=NAMESPACE, log_to_driver=False, logging_level="ERROR", configure_logging=False,
            ignore_reinit_error=True,
        )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError, OSError, TimeoutError) as error:
        raise TransientError(f"{address}: this host's part of the cluster does not answer ({str(error)[:200]})") from None
    finally:
        # Ray's own handler would end this process at once, with what runs left behind
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


def head_of(text: str) -> Any:
    """The handle of the head's actor in the cluster at this address. Raises UserError with what to do."""
    address = Address.parse(text)
    home, joined = membership(address)
    security.check(address, has_tls=home.has_tls(), insecure=joined.insecure)
    require_ray()
    enter(home, address)
    check_versions(address)
    import ray

    try:
        drive(address)
        return ray.get_actor(HEAD, NAMESPACE)
    except TransientError as error:
        raise UserError(f"{error}; run `edgedeploy lab join` on this host, and leave it running") from None
    except ValueError:
        raise UserError(
            f"{address}: the head is still starting, or has lost its queue; look where `edgedeploy lab head` runs"
        ) from None
