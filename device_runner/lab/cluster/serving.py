"""`lab head` and `lab join`: Ray's node on this host, kept up until Ctrl-C."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from device_runner.lab.cluster import certificates, connecting, invitation, security
from device_runner.lab.cluster.head import Head
from device_runner.lab.cluster.home import Address, Home
from device_runner.lab.cluster.invitation import Joined
from device_runner.lab.cluster.ray_node import RayNode
from device_runner.lab.cluster.supervisor import ClusterSupervisor
from device_runner.lab.place import Place
from device_runner.lab.sqlite_queue import SqliteQueue
from edgedeploy.errors import EdgedeployError, TransientError, UserError

_UP_SEC = 120.0
_LOOK_SEC = 0.5
#: between two tries to reach a head that is away
_AGAIN_SEC = 2.0


def prepare_head(home: Home, address: Address, *, insecure: bool) -> None:
    """The head's token, and its certificates where it listens beyond the loopback. Raises UserError; see security.check."""
    home.make()
    home.make_token()
    if not address.is_loopback and not insecure:
        certificates.make_authority(home)
        certificate, key = certificates.issue(home, address.host)
        home.keep_secret(home.certificate, certificate)
        home.keep_secret(home.key, key)
    else:
        # the authority stays: hosts were invited by it, and a head without TLS may have been a trial
        for file in (home.certificate, home.key):
            file.unlink(missing_ok=True)
    security.check(address, has_tls=home.has_tls(), insecure=insecure)
    invitation.remember(home, Joined(head=str(address), name="head", host=address.host, insecure=insecure))


def serve(place: Place, home: Home, address: Address, say: Callable[[str, str], None], *, insecure: bool) -> None:
    """Be the cluster's head until KeyboardInterrupt. Raises UserError when the port is taken, or the lab run by another."""
    with place.running() as ours, home.used("a head"):
        if not ours:
            raise UserError(f"{place.root}: another process runs this lab; stop it, or name another directory with --lab")
        connecting.enter(home, address)
        node = RayNode(home, address, address.host, "head", is_head=True, insecure=insecure)
        node.clear()
        if address.is_reached(1.0):
            raise UserError(f"{address}: something listens there already; end it, or take another --port")
        try:
            node.start()
            _until(lambda: address.is_reached(1.0), node)
            connecting.announce(address)
            _until(lambda: _drives(address), node)
            actor = _owner(place)
            queue = SqliteQueue(place.queue)
            say("", f"the head is at {address}; invite hosts with: edgedeploy lab invite NAME")
            try:
                ClusterSupervisor(queue, actor, say).run()
            finally:
                queue.close()
        finally:
            _leave()
            node.stop()


def _owner(place: Place) -> Any:
    """The actor that has the queue."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"name": connecting.HEAD, "num_cpus": 0, "max_restarts": -1, "scheduling_strategy": here}
    actor = (
        ray.remote(Head)
        .options(**options)
        .remote(str(place.queue), str(place.root / "artifacts"), str(place.root / "hosts.json"))
    )
    ray.get(actor.hosts.remote())
    return actor


def _drives(address: Address) -> bool:
    try:
        connecting.drive(address)
    except TransientError:
        return False
    return True


def _leave() -> None:
    import ray

    with contextlib.suppress(Exception):
        ray.shutdown()


def _until(what: Callable[[], bool], node: RayNode) -> None:
    end = time.monotonic() + _UP_SEC
    while not what():
        if node.ended():
            raise UserError(f"Ray did not start: {node.said()}")
        if time.monotonic() > end:
            raise TransientError(f"Ray did not come up within {_UP_SEC:.0f} s: {node.said()}")
        time.sleep(_LOOK_SEC)


def stay(home: Home, joined: Joined, say: Callable[[str], None]) -> None:
    """Be a lab host until KeyboardInterrupt; a head that goes away is waited for.

    Raises UserError at once where the head does not let this host in, or is of another version.
    """
    address = Address.parse(joined.head)
    security.check(address, has_tls=home.has_tls(), insecure=joined.insecure)
    connecting.enter(home, address)
    connecting.check_versions(address)
    with home.used("a lab host"):
        told = False
        while True:
            node = RayNode(home, address, joined.host, joined.name, is_head=False, insecure=joined.insecure)
            try:
                node.start()
                say(f"{joined.name}: joining {address}" if not told else f"{joined.name}: joining again")
                told = True
                while not node.ended():
                    time.sleep(_LOOK_SEC)
            finally:
                node.stop()
            say(f"{joined.name}: out of the cluster ({node.said()})")
            _wait_for(address, say)


def _wait_for(address: Address, say: Callable[[str], None]) -> None:
    """Until a head of our version is there."""
    last = ""
    while True:
        try:
            connecting.check_versions(address)
            return
        except EdgedeployError as error:
            if str(error) != last:
                say(f"waiting: {error}")
                last = str(error)
        time.sleep(_AGAIN_SEC)
