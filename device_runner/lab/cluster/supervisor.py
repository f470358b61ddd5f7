"""The head's turn: which hosts are there, who watches their devices, who works on them, what is said of it.

It uses the queue's file as the head's actor does, on the same machine; what it does not know it asks Ray.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from device_runner.lab import health
from device_runner.lab.cluster import connecting, naming
from device_runner.lab.cluster.host import Host
from device_runner.lab.cluster.ray_node import RESOURCE
from device_runner.lab.cluster.tasks import Tasks
from device_runner.lab.queue import DeviceState, Job
from device_runner.lab.sqlite_queue import SqliteQueue

_TURN_SEC = 0.5
#: between two looks at each host's devices.yaml and attached phones
_HELLO_SEC = 10.0
#: a host that comes back at once is there a second time until Ray has found its first node dead
_TWICE_SEC = 30.0


@dataclass
class _Site:
    """A lab host that is there. devices: what it told of them, None until it did. refused: why it gets no work."""

    name: str
    node: str
    actor: Any
    greeting: Any
    asked: float
    devices: list[dict[str, Any]] | None = None
    refused: str = ""
    followed: set[str] = field(default_factory=set)
    checks: dict[str, Any] = field(default_factory=dict)


class ClusterSupervisor:
    """say: told what happens, of a device or ""."""

    def __init__(self, queue: SqliteQueue, head: Any, say: Callable[[str, str], None]) -> None:
        self._queue, self._head, self._say = queue, head, say
        self._tasks = Tasks(head)
        self._sites: dict[str, _Site] = {}
        self._told: list[dict[str, Any]] | None = None
        #: nodes whose name another one has, and since when
        self._twice: dict[str, float] = {}

    def run(self) -> None:
        """Until KeyboardInterrupt, which stops the workers first."""
        since = self._queue.events(most=1)
        last = since[-1].id if since else 0
        # until its host has joined, no device is there, whatever an earlier head saw
        for state in self._queue.devices():
            if "@" in state.name:
                self._queue.seen(state.name, "dead", "its host has not joined yet", naming.parted(state.name)[1])
        try:
            while True:
                self._turn()
                last = self._tell(last)
                time.sleep(_TURN_SEC)
        finally:
            for ended in self._tasks.stop():
                self._queue.worker_gone(ended.name, crashed=False)
            self._tell(last)

    def _turn(self) -> None:
        nodes = self._nodes()
        self._meet(nodes)
        for ended in self._tasks.reap(set(nodes)):
            self._queue.worker_gone(ended.name, crashed=ended.crashed)
        self._queue.sweep()
        jobs = self._queue.jobs(states=("queued", "running"))
        self._follow(jobs)
        self._check_quarantined()
        for name in {name for job in jobs if job.state == "queued" for name in job.pool}:
            site = self._site_of(name)
            if site is not None and self._queue.claimable(name):
                self._tasks.start(name, site.name, site.node)

    def _nodes(self) -> dict[str, str]:
        """Ray's id of each lab host that is alive, and its name."""
        import ray

        return {node["NodeID"]: node["NodeName"] for node in ray.nodes() if node["Alive"] and RESOURCE in node["Resources"]}

    def _meet(self, nodes: dict[str, str]) -> None:
        for node in self._sites.keys() - nodes.keys():
            self._lose(self._sites.pop(node))
        taken = {site.name for site in self._sites.values()}
        self._twice = {node: since for node, since in self._twice.items() if node in nodes}
        for node, name in nodes.items():
            if node in self._sites:
                continue
            if name in taken:
                self._leave_out(node, name)
                continue
            self._twice.pop(node, None)
            taken.add(name)
            self._welcome(node, name)
        for site in self._sites.values():
            self._greet(site)
        told = [{"name": site.name, "devices": site.devices or []} for site in self._sites.values()]
        if told != self._told:
            self._told = told
            self._head.tell_hosts.remote(told)

    def _leave_out(self, node: str, name: str) -> None:
        """For as long as another has its name; said once, when that is no host that has just come back."""
        since = self._twice.setdefault(node, time.monotonic())
        if time.monotonic() - since > _TWICE_SEC:
            self._twice[node] = math.inf
            self._say("", f"another host is called {name} too and gets no work; invite it under a name of its own")

    def _welcome(self, node: str, name: str) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        where = NodeAffinitySchedulingStrategy(node, soft=False)
        options = {"num_cpus": 0, "max_concurrency": 4, "max_restarts": -1, "scheduling_strategy": where}
        actor = ray.remote(Host).options(**options).remote(name)
        self._sites[node] = _Site(name, node, actor, actor.hello.remote(), time.monotonic())

    def _greet(self, site: _Site) -> None:
        """Hear what a host says of itself, and ask again after a while."""
        import ray
        from ray.exceptions import RayError

        if site.greeting is None:
            if time.monotonic() - site.asked > _HELLO_SEC:
                site.greeting, site.asked = site.actor.hello.remote(), time.monotonic()
            return
        if not ray.wait([site.greeting], timeout=0)[0]:
            return
        greeting, site.greeting = site.greeting, None
        try:
            said = ray.get(greeting)
        except RayError as error:
            # a host that has just gone is found out by the next turn
            site.refused = f"it does not answer ({type(error).__name__})"
            return
        refused = connecting.difference(said["versions"], connecting.versions(), "the head") or said["trouble"]
        if refused and refused != site.refused:
            self._say("", f"host {site.name} gets no work: {refused}")
        if site.devices is None and not refused:
            self._say("", f"host {site.name} is there, with {', '.join(each['name'] for each in said['devices'])}")
            self._end_leases_of_earlier_workers(site.name)
        site.refused = refused
        site.devices = [] if refused else said["devices"]

    def _end_leases_of_earlier_workers(self, host: str) -> None:
        """A host that has joined anew: the workers of its life before have ended, or are kept out by the devices' locks."""
        for job in self._queue.jobs(states=("running",)):
            if job.worker.partition("/")[0] == host and job.worker not in self._tasks.names:
                self._queue.worker_gone(job.worker, crashed=False)

    def _lose(self, site: _Site) -> None:
        self._say("", f"host {site.name} is gone")
        for each in site.devices or []:
            self._queue.seen(naming.joined(each["name"], site.name), "dead", f"host {site.name} is gone", site.name)

    def _site_of(self, device: str) -> _Site | None:
        """The host of a device, when it has that device and may work."""
        name, host = naming.parted(device)
        for site in self._sites.values():
            if site.name == host and any(each["name"] == name for each in site.devices or []):
                return site
        return None

    def _follow(self, jobs: list[Job]) -> None:
        for name in {name for job in jobs for name in job.pool}:
            site = self._site_of(name)
            if site is not None and name not in site.followed:
                site.followed.add(name)
                site.actor.follow.remote([naming.parted(name)[0]])

    def _check_quarantined(self) -> None:
        for state in self._queue.devices():
            site = self._site_of(state.name)
            if site is not None:
                self._check(site, state)

    def _check(self, site: _Site, state: DeviceState) -> None:
        import ray
        from ray.exceptions import RayError

        running = site.checks.get(state.name)
        if running is not None and ray.wait([running], timeout=0)[0]:
            del site.checks[state.name]
            try:
                found = ray.get(running)
            except RayError:
                found = None
            if found is not None:
                self._queue.checked(state.name, found)
            return
        due = state.hold == "quarantined" and state.hold_by == "lab" and state.presence == "present"
        if running is None and due and time.time() >= health.due_at(state.held_at, state.checks):
            site.checks[state.name] = site.actor.check.remote(naming.parted(state.name)[0])

    def _tell(self, last: int) -> int:
        for event in self._queue.events(last):
            self._say(event.device, event.text)
            last = event.id
        return last
