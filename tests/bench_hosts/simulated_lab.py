"""Devices by the hundred that do nothing but take time, on the lab's own queue and a clock that is turned.

What becomes of a job (how long it takes, whether its device goes away in it or its worker dies, how long the device is hot
afterwards) is drawn for the job and its try alone, so it is the same in whatever order the queue gives jobs out, and `best_sec`
can say what no order could be faster than.
"""

from __future__ import annotations

import heapq
import itertools
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device_runner.lab.queue import Lease, Outcome, Wanted
from device_runner.lab.sqlite_queue import BEAT_SEC, SqliteQueue
from device_runner.lab.supervisor import TURN_SEC
from device_runner.lab.worker import cooling_pauses

#: artifacts of an experiment, and launches of each
ARTIFACTS, LAUNCHES = 2, 5
POOLS = 4
#: of a worker's process: from its start to its claim, and until the lab starts a new one after one that died
START_SEC, ANEW_SEC = 1.5, 2.0
#: a launch waits so long for its device (campaign.py); what is away for longer fails
PATIENT_SEC = 90.0
#: seconds that devices are away: cables and servers that are back soon (scripts/bench_faults), reboots, a hand that has to come
AWAY_SEC = (1.0, 2.0, 5.0, 10.0, 45.0, 60.0, 150.0)


@dataclass(frozen=True)
class Case:
    """lengths: seconds of an artifact's run, drawn from. cooling_sec: mean, of a device after an experiment. away, crash:
    shares of tries whose device goes away, or whose worker dies. shared: of experiments that any of a quarter of the devices
    may do.
    """

    devices: int
    runs: int
    lengths: Sequence[float]
    cooling_sec: float = 5.0
    away: float = 0.02
    crash: float = 0.01
    shared: float = 0.4
    plans: int = 2
    seed: int = 1


@dataclass(frozen=True)
class Fate:
    """Of one try of a job. at: share of what is left of it after which it happens. away_sec: of the device."""

    kind: str
    at: float = 0.0
    away_sec: float = 0.0


class _Device:
    def __init__(self, name: str) -> None:
        self.name, self.hot_until, self.away_until = name, 0.0, 0.0
        #: whether its worker is a process now; else the lab's process looks whether there is work for it
        self.works = False
        self.waits = cooling_pauses()


class SimulatedLab:
    """file: of the queue, which is real. `run` goes through all of it."""

    def __init__(self, case: Case, file: Path) -> None:
        self.case, self.now, self.started = case, 1e9, 1e9
        numbers = itertools.count()
        self.queue = SqliteQueue(file, clock=lambda: self.now, new_experiment=lambda: f"e{next(numbers)}")
        self.devices = [_Device(f"d{number}") for number in range(case.devices)]
        self.length: dict[str, float] = {}
        self.pool: dict[str, tuple[str, ...]] = {}
        #: by experiment, the share of its launches that are on disk; by job, how often it was begun, and committed
        self.kept: dict[str, float] = {}
        self.tries: dict[str, int] = {}
        self.committed: dict[str, int] = {}
        #: what happened
        self.met: list[Fate] = []
        #: seconds of this host in the queue's calls for jobs, and how many there were; the lab process's own turns
        self.spent_sec, self.calls, self.turns_sec, self.turns = 0.0, 0, 0.0, 0
        self.ended = 0.0
        self._order = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    # -- what is drawn

    def draw(self, *what: object) -> random.Random:
        return random.Random("/".join(map(str, (self.case.seed, *what))))

    def fate(self, key: str, attempt: int) -> Fate:
        drawn = self.draw(key, attempt)
        luck = drawn.random()
        if luck < self.case.away:
            return Fate("away", drawn.random(), drawn.choice(AWAY_SEC))
        return Fate("crash", drawn.random()) if luck < self.case.away + self.case.crash else Fate("done")

    def cooling_sec(self, key: str) -> float:
        return self.draw(key, "hot").uniform(0, 2 * self.case.cooling_sec)

    def jobs(self) -> list[Wanted]:
        made, own = [], 0
        names = [device.name for device in self.devices]
        for number in range(self.case.runs // ARTIFACTS):
            key, drawn = f"j{number}", self.draw("job", number)
            self.length[key] = sum(drawn.choice(self.case.lengths) for _ in range(ARTIFACTS))
            if drawn.random() < self.case.shared:
                self.pool[key] = tuple(names[drawn.randrange(POOLS) :: POOLS])
            else:
                self.pool[key] = (names[own % len(names)],)
                own += 1
            # what the lab thinks is not what it will be
            estimate = self.length[key] * drawn.uniform(0.7, 1.3)
            made.append(Wanted(key, key, self.pool[key], 0, estimate, (f"{key}a", f"{key}b"), {"key": key}))
        return made

    def best_sec(self) -> float:
        """No order takes less: neither than the work spread evenly over the devices that may do it, nor than the device with
        most work that it alone may do. How hot a device is after its last job costs nothing; nor does a device that is
        away in a job that others may do, since the best order, which knows of it beforehand, would have that one last.
        """
        hottest = 2 * self.case.cooling_sec
        own = dict.fromkeys((device.name for device in self.devices), 0.0)
        spread = [0.0] * POOLS
        for key, pool in self.pool.items():
            takes = self.length[key] + self.cooling_sec(key)
            if len(pool) == 1:
                for attempt in itertools.count():
                    fate = self.fate(key, attempt)
                    if fate.kind == "done":
                        break
                    takes += fate.away_sec
                own[pool[0]] += takes
            spread[int(pool[0][1:]) % POOLS] += takes
        sizes = [len(self.devices[pool::POOLS]) for pool in range(POOLS)]
        even = max((work / size for work, size in zip(spread, sizes, strict=True) if size), default=0.0)
        return max(even - hottest, max(own.values()) - hottest, max(self.length.values()))

    # -- what happens

    def run(self) -> float:
        """Seconds that all of it took, on the clock that is turned."""
        for device in self.devices:
            self.queue.seen(device.name, "present")
        jobs = self.jobs()
        each = -(-len(jobs) // self.case.plans)
        for number in range(self.case.plans):
            self.timed("put", f"plan{number}", 0, jobs[number * each : (number + 1) * each])
        self.left = len(jobs)
        self.at(0.0, self.turn)
        while self._events and self.left:
            self.now, _, do = heapq.heappop(self._events)
            do()
        return self.ended - self.started

    def at(self, after_sec: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + after_sec, next(self._order), do))

    def timed(self, method: str, *arguments: Any, **named: Any) -> Any:
        """A call of the queue for a job, on this host's clock."""
        began = time.perf_counter()
        try:
            return getattr(self.queue, method)(*arguments, **named)
        finally:
            self.spent_sec += time.perf_counter() - began
            self.calls += 1

    def turn(self) -> None:
        """The lab's process: a worker for each device that has none and could do something."""
        began = time.perf_counter()
        # as the lab's process does
        self.queue.sweep()
        self.queue.jobs(states=("queued", "running"))
        self.queue.devices()
        able = {device.name for device in self.devices if not device.works and self.queue.claimable(device.name)}
        self.turns_sec, self.turns = self.turns_sec + time.perf_counter() - began, self.turns + 1
        for device in self.devices:
            if not device.works and device.name in able:
                device.works = True
                self.at(START_SEC, lambda device=device: self.claim(device))  # type: ignore[misc]
        self.at(TURN_SEC, self.turn)

    def claim(self, device: _Device) -> None:
        if self.now < device.hot_until:
            self.timed("doing", device.name, "waiting: hot")
            self.at(next(device.waits), lambda: self.claim(device))
            return
        device.waits = cooling_pauses()
        lease = self.timed("claim", device.name, device.name)
        if lease is None:
            device.works = False
            return
        self.begin(device, lease)

    def begin(self, device: _Device, lease: Lease) -> None:
        key = lease.work["key"]
        attempt = self.tries.get(key, 0)
        self.tries[key] = attempt + 1
        fate = self.fate(key, attempt)
        self.met.append(fate)
        left = self.length[key] * (1 - self.kept.get(lease.experiment, 0.0))
        if fate.kind == "away" and fate.away_sec <= PATIENT_SEC:
            left += fate.away_sec
            fate = Fate("done")
        until = self.now + (left if fate.kind == "done" else left * fate.at)
        self.goes_on(device, lease, until, fate)

    def goes_on(self, device: _Device, lease: Lease, until: float, fate: Fate) -> None:
        if until - self.now > BEAT_SEC:
            self.timed("heartbeat", lease.token, "steady", 40.0)
            self.at(BEAT_SEC, lambda: self.goes_on(device, lease, until, fate))
        elif self.now < until:
            self.at(until - self.now, lambda: self.goes_on(device, lease, until, fate))
        else:
            {"done": self.done, "crash": self.dies, "away": self.goes}[fate.kind](device, lease, fate)

    def done(self, device: _Device, lease: Lease, fate: Fate) -> None:
        key = lease.work["key"]
        # committed before the queue hears of it, as run.json is
        self.committed[key] = self.committed.get(key, 0) + 1
        self.timed("finish", lease.token, [lease.experiment], [Outcome(artifact, True) for artifact in lease.artifacts])
        device.hot_until = self.now + self.cooling_sec(key)
        self.left, self.ended = self.left - 1, self.now
        self.claim(device)

    def dies(self, device: _Device, lease: Lease, fate: Fate) -> None:
        self.keep(lease, fate)
        self.at(TURN_SEC, lambda: self.timed("worker_gone", device.name, crashed=True))
        self.at(TURN_SEC + ANEW_SEC, lambda: setattr(device, "works", False))

    def goes(self, device: _Device, lease: Lease, fate: Fate) -> None:
        """Away for longer than a launch waits."""
        self.keep(lease, fate)
        self.queue.seen(device.name, "dead", "not attached")

        def beat(until: float) -> None:
            if self.now >= until:
                self.timed("fail", lease.token, "device", "went away")
                device.works = False
                return
            self.timed("heartbeat", lease.token, "waiting for it to come back")
            self.at(min(BEAT_SEC, until - self.now), lambda: beat(until))

        beat(self.now + PATIENT_SEC)
        self.at(fate.away_sec, lambda: self.queue.seen(device.name, "present"))

    def keep(self, lease: Lease, fate: Fate) -> None:
        """Launches that are whole stay; the one that was going on is done again."""
        before = self.kept.get(lease.experiment, 0.0)
        launches = ARTIFACTS * LAUNCHES
        self.kept[lease.experiment] = int((before + (1 - before) * fate.at) * launches) / launches
