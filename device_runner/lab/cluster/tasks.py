"""The workers that Ray runs for us: started on the host of their device, watched, stopped."""

from __future__ import annotations

import contextlib
import itertools
import time
from dataclasses import dataclass
from typing import Any

from device_runner.lab.cluster.host import work_on

#: a worker that ends at once is not started anew at once
_PAUSE_SEC = 2.0
_STOP_SEC = 45.0
#: until it is known whether a worker died alone or with its host
_DOUBT_SEC = 8.0
_NUMBERS = itertools.count()


@dataclass
class _Task:
    name: str
    node: str
    reference: Any
    #: when it died, on the monotonic clock
    died: float | None = None


@dataclass(frozen=True)
class Ended:
    """crashed: died while its host lives."""

    name: str
    device: str
    crashed: bool


class Tasks:
    """head: the handle of the head's actor."""

    def __init__(self, head: Any) -> None:
        self._head = head
        self._running: dict[str, _Task] = {}
        self._not_before: dict[str, float] = {}

    @property
    def names(self) -> set[str]:
        """Of the workers, as the queue has them."""
        return {task.name for task in self._running.values()}

    def start(self, device: str, host: str, node: str) -> None:
        """Have the device worked on, unless it is, or was until a moment ago. node: Ray's id of the host."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        if device in self._running or time.monotonic() < self._not_before.get(device, 0.0):
            return
        name = f"{host}/{node[:12]}/{device}/{time.time_ns()}.{next(_NUMBERS)}"
        where = NodeAffinitySchedulingStrategy(node, soft=False)
        # never started anew by Ray: the queue says what is done again
        task = ray.remote(work_on).options(num_cpus=0, max_retries=0, scheduling_strategy=where, name=f"lab {device}")
        self._running[device] = _Task(name, node, task.remote(self._head, device, name))

    def reap(self, nodes: set[str]) -> list[Ended]:
        """Those that ended since the last call, without those whose host is gone: their leases end by themselves, since a host
        that is cut off may be at work still. nodes: that are alive."""
        import ray
        from ray.exceptions import RayError, RayTaskError, TaskCancelledError

        found = []
        for device, task in list(self._running.items()):
            crashed = False
            if task.died is None:
                ready, _ = ray.wait([task.reference], timeout=0)
                if not ready:
                    if task.node not in nodes:
                        self._forget(device)
                    continue
                try:
                    ray.get(task.reference)
                except TaskCancelledError:
                    pass
                except RayTaskError:
                    crashed = True
                except RayError:
                    task.died = time.monotonic()
            if task.died is not None:
                if task.node not in nodes:
                    self._forget(device)
                    continue
                if time.monotonic() - task.died < _DOUBT_SEC:
                    continue
                crashed = True
            self._forget(device)
            found.append(Ended(task.name, device, crashed))
        return found

    def _forget(self, device: str) -> None:
        del self._running[device]
        self._not_before[device] = time.monotonic() + _PAUSE_SEC

    def stop(self) -> list[Ended]:
        """Have all of them stop, keeping what they have; wait for it, and end those that do not."""
        import ray
        from ray.exceptions import RayError

        references = [task.reference for task in self._running.values()]
        for force in (False, True):
            if not references:
                break
            for reference in references:
                with contextlib.suppress(RayError, ValueError):
                    ray.cancel(reference, force=force)
            _, references = ray.wait(references, num_returns=len(references), timeout=_STOP_SEC)
        ended = [Ended(task.name, device, False) for device, task in self._running.items()]
        self._running.clear()
        return ended
