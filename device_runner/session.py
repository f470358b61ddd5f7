"""One device, open: the runner installed, artifacts pushed, launches started, waited for and fetched.

Nothing here knows which transport it is. On the device there is, below the transport's work root:
  runners/<digest>/   the runner and its libraries
  store/<sha256>      model files and inputs, by content
  leases/<host>/      what a host has use of now (see device_cache)
  runs/<run>/<n>/     one launch: its plan, links into the store, and what the runner leaves there
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from device_runner import conditions, device_lock, install, launch_directory, samples
from device_runner.conditions import cpus, emulation, files, gate, memory, preparing, system, waiting
from device_runner.conditions.asking import Program, ask
from device_runner.deadline import Deadline
from device_runner.device_cache import leasing
from device_runner.plan import OUTPUTS, input_file
from device_runner.retry import with_backoff
from device_runner.runner import CALL_SEC, TRY_SEC, Runner, Status, json_lines
from device_runner.samples import Samples
from device_runner.transports.base import NoRoom, Transport, facts_of
from device_runner.workload import Feed, Part, Product, Workload
from edgedeploy.bundle import file_sha256
from edgedeploy.errors import EdgedeployError, InternalError, TransientError
from edgedeploy.record import Context, Plan
from edgedeploy.record import Device as DeviceRecord

if TYPE_CHECKING:
    from device_runner.device_cache import DeviceCache
    from device_runner.inventory import Device
    from device_runner.model_fit import Model

#: pushing the largest model over a slow cable
PUSH_SEC = 1800.0
PULL_SEC = 600.0
#: what a runner's events, or its stderr, may come to
_MOST_TEXT_BYTES = 64 * 2**20
_EVENTS, _STDERR, _SAMPLES = "events.jsonl", "stderr.txt", "samples.bin"
#: past `max_seconds` of a plan, for the runner's supervisor to end what it supervises
GRACE_SEC = 30.0
_KERNEL = Program(("uname", "-sr"))
#: the first looks catch a launch that fails at once; then the host keeps quiet until the minima can be met
_FIRST_LOOKS_SEC = (0.05, 0.2)
_SHORTEST_LOOK_SEC, _LONGEST_LOOK_SEC = 0.1, 1.0


@dataclass(frozen=True)
class Staged:
    """What is in the device's store: name beside the plan -> path in the store."""

    links: dict[str, str]


@dataclass(frozen=True)
class Measured:
    """What a launch left behind. `outputs` are [cases, elements] by product, None where not written."""

    events: list[dict[str, Any]]
    samples: Samples
    outputs: list[npt.NDArray[Any] | None]
    events_text: str = ""
    stderr: str = ""
    flags: tuple[str, ...] = field(default=())
    #: what else the launch's entry in the record is to say
    entry: Mapping[str, Any] = field(default_factory=dict)
    #: over two devices, int64 [n, 3]: near, round trip and far of each steady sample
    crossings: npt.NDArray[np.int64] | None = None
    #: further logs, by name
    logs: Mapping[str, str] = field(default_factory=dict)

    def event(self, name: str) -> dict[str, Any]:
        """The last event of that name, {} when there was none."""
        return next((line for line in reversed(self.events) if line.get("event") == name), {})


class Session:
    """Use `open_session`."""

    def __init__(self, device: Device, transport: Transport, cache: DeviceCache, runner: Runner, hello: dict[str, Any]) -> None:
        self.device, self.transport, self.cache, self.runner, self.hello = device, transport, cache, runner, hello
        asked = (*cpus.ASKS, *system.ASKS, *emulation.ASKS, *memory.ASKS, _KERNEL)
        answers = with_backoff(lambda: ask(transport, asked, Deadline.after(CALL_SEC)))
        self.cpus, self.system = cpus.allowed(answers), system.found(answers)
        self.facts = {
            "abi": hello.get("abi"),
            "emulated": emulation.emulated(answers, str(hello.get("abi"))),
            "cpu": hello.get("cpu"),
            "cpus_allowed": sorted(self.cpus) if self.cpus is not None else None,
            "memory_kb": memory.meminfo_kb(answers, "MemTotal"),
            "kernel": answers.said(_KERNEL).text.strip()[:200],
            "runner": hello.get("build"),
            **runner.facts,
            **facts_of(transport),
        }

    def renew(self) -> None:
        """Put the runner back where a restart of the device has taken it; only looks where it has not."""
        # one that is there and does not answer is not to be waited for as long as a push may take
        self.transport.run(["true"], Deadline.after(TRY_SEC))
        if self.device.bundle == "app":
            return  # an app survives a restart
        self.runner = install.runner(self.transport, Deadline.after(PUSH_SEC), self.device.bundle, self.cache)

    @property
    def name(self) -> str:
        """What a message calls it."""
        return self.device.name

    @property
    def devices(self) -> tuple[DeviceRecord, ...]:
        """As a run's record has them."""
        return (self.record,)

    @property
    def versions(self) -> dict[str, dict[str, Any]]:
        """What ran: where, "" for the one device, and what the runner there says of itself."""
        return {"": self.hello}

    def together(self, workload: Workload) -> dict[str, Any]:
        """What a run's record says besides where it is over two devices."""
        return {}

    @property
    def record(self) -> DeviceRecord:
        """The device as it goes into a run record."""
        return DeviceRecord(
            name=self.device.name, transport=self.transport.kind, tier=self.device.tier, facts=self.facts
        )  # fmt: skip

    def gate(self, plan: Plan) -> None:
        """Raise UserError for a plan whose numbers would mean nothing on this device, or that it could never start."""
        gate.check_plan(plan, self.cpus)
        with_backoff(lambda: waiting.check(self.transport, plan.gates, self.system, Deadline.after(CALL_SEC)))

    def wait_for_gates(self, plan: Plan, say: Callable[[str], None]) -> str:
        """Wait until a launch may start; "" when it may, else why it still may not when the plan's patience is at its end."""
        if not plan.gates.asked:
            return ""
        timeout = plan.gates.timeout_seconds
        reasons = waiting.wait(
            lambda: with_backoff(
                lambda: waiting.shut(self.transport, plan.gates, self.system, Deadline.after(CALL_SEC))
            ), timeout, say,
        )  # fmt: skip
        return f"not started: after {timeout:g} s, {'; '.join(reasons)}" if reasons else ""

    def prepared(self, plan: Plan, say: Callable[[str], None]) -> AbstractContextManager[None]:
        """Inside, the device is set as the plan wants it; see `conditions.preparing`."""
        return preparing.prepared(self.transport, self.device, plan.preparation, self.system, say)

    def context(self) -> Context:
        """What the device is doing now."""
        return with_backoff(lambda: conditions.snapshot(self.transport, Deadline.after(CALL_SEC), self.system))

    def put(self, files: Mapping[str, Path], known: Mapping[str, str] | None = None) -> dict[str, str]:
        """Push files into the device's store; name beside the plan -> path there. known: digests that need not be taken again.

        Raises NoRoom for a device that is full, InternalError for a file that had to be sent and is not what is known of it.
        """
        digests = {name: (known or {}).get(name) or file_sha256(source) for name, source in files.items()}
        self.cache.use(digests.values())
        for name, source in files.items():
            try:
                self.cache.push(source, f"store/{digests[name]}", Deadline.after(PUSH_SEC), sha256=digests[name])
            except TransientError:
                if file_sha256(source) != digests[name]:
                    raise InternalError(f"{source}: changed while it was being benched") from None
                raise
        return {name: f"store/{digest}" for name, digest in digests.items()}

    def stage(self, workload: Workload) -> Staged:
        """Push the models and their inputs. See `stage_parts`."""
        return self.stage_parts(workload, workload.parts, workload.feeds)

    def stage_parts(self, workload: Workload, parts: Sequence[Part], feeds: Sequence[Feed]) -> Staged:
        """Push the models of some stages, and inputs.

        Raises UserError for a runtime that the device cannot run, for a model that its runtime cannot and for a device that is
        full, InternalError for a model that had to be sent and changed since it was read.
        """
        if parts:
            self.runner.require(workload.artifact.runtime, [part.model for part in parts])
        companions = workload.companions if parts else ()
        files = {path.name: path for path in companions} | {part.name: part.model for part in parts}
        with tempfile.TemporaryDirectory(prefix="edgedeploy-") as scratch:
            for index, feed in enumerate(feeds):
                file = files[input_file(index)] = Path(scratch, f"{index}.bin")
                # the protocol is little-endian, whatever this host is
                feed.data.astype(feed.data.dtype.newbyteorder("<"), copy=False).tofile(file)
            # the models' were compared with the manifest's when the bundle was read
            links = self.put(files, {part.name: part.sha256 for part in parts})
        self.cache.trim()
        return Staged(links)

    def start(self, directory: str, staged: Staged, document: dict[str, Any]) -> None:
        """Lay out `directory` and start the runner in it, detached.

        Raises RunnerRefused for a plan it refuses, Evicted when what was staged is no longer there.
        """
        self.lay_out_plan(directory, staged, json.dumps(document))
        self.runner.start(directory, Deadline.after(CALL_SEC))

    def start_together(self, wanted: Sequence[tuple[str, Staged, dict[str, Any]]]) -> None:
        """As `start` for each (directory, staged, document), in one command: their launches take turns."""
        for directory, staged, document in wanted:
            self.lay_out_plan(directory, staged, json.dumps(document))
        self.runner.start_together([directory for directory, _, _ in wanted], Deadline.after(CALL_SEC))

    def lay_out_plan(self, directory: str, staged: Staged, plan: str) -> None:
        """Fill `directory` with what was staged and a plan.json of that text."""
        self.cache.renew()
        if len(plan) > launch_directory.MOST_PLAN_BYTES:
            self.write(directory, {"plan.json": plan})
            plan = ""
        self.lay_out(directory, staged.links, plan)

    def write(self, directory: str, texts: Mapping[str, str]) -> None:
        """Put small files into `directory`, which nobody but the runner's user may read."""
        with tempfile.TemporaryDirectory(prefix="edgedeploy-") as scratch:
            for name, text in texts.items():
                file = Path(scratch, name)
                file.write_text(text, "utf-8")
                self.cache.push(file, f"{directory}/{name}", Deadline.after(PUSH_SEC))

    def lay_out(self, directory: str, links: dict[str, str], plan: str = "") -> None:
        """Fill `directory`: name in it -> path in the store, and plan.json. Raises Evicted when a file is no longer there,
        NoRoom for a device that is full.
        """
        while True:
            try:
                launch_directory.lay_out(self.transport, directory, links, plan, PUSH_SEC)
                return
            except launch_directory.Full as error:
                if not self.cache.make_room(error.needed_bytes):
                    raise NoRoom(f"the device is full: make room on it ({error})") from None

    def running(self) -> str | None:
        """A run that has a launch running on the device, left by a host that went away; None when nothing runs."""
        deadline = Deadline.after(CALL_SEC)
        for run in files.entries(self.transport, self.transport.path("runs"), deadline):
            for index in files.entries(self.transport, self.transport.path(f"runs/{run}"), deadline):
                if self.runner.status(f"runs/{run}/{index}", Deadline.after(CALL_SEC)).alive:
                    return run
        return None

    def sweep(self) -> None:
        """Remove what an untimed run has left whose host went away; nobody comes back for its outputs."""
        for name in files.entries(self.transport, self.transport.path("checks"), Deadline.after(CALL_SEC)):
            if not self.runner.status(f"checks/{name}", Deadline.after(CALL_SEC)).alive:
                self.discard(f"checks/{name}")

    def left_behind(self, directory: str) -> bool:
        """Whether a launch was started in `directory` by a host that then went away. One half laid out is removed."""
        deadline = Deadline.after(CALL_SEC)
        if with_backoff(lambda: self.transport.stat(directory, deadline)) is None:
            return False
        if with_backoff(lambda: self.transport.stat(f"{directory}/runner.pid", deadline)) is not None:
            return True
        self.discard(directory)
        return False

    def wait(self, directory: str, plan: Plan, watch: Callable[[Status], None], look_sec: float | None = None) -> bool:
        """Wait until the launch in `directory` has ended; False when it had to be cancelled for taking too long.

        look_sec: look that often although it cannot have ended yet; None: the device is left alone until it can have.

        A device that goes away meanwhile costs nothing when it comes back in time: the runner goes on without us. Raises
        TransientError when it stays away.
        """
        deadline = Deadline.after(plan.max_seconds + GRACE_SEC)
        gone: TransientError | None = None
        for pause in _pauses(plan, look_sec):
            time.sleep(min(pause, deadline.remaining))
            try:
                status, gone = self.runner.status(directory, Deadline.after(CALL_SEC)), None
            except TransientError as error:
                gone = error
            else:
                if not status.alive:
                    return True
                watch(status)
            if deadline.expired:
                break
        if gone is not None:
            raise gone
        self.runner.cancel(directory, Deadline.after(CALL_SEC))
        return False

    def collect(self, directory: str, workload: Workload) -> Measured:
        """Fetch what the launch in `directory` left. Files it never came to write are as if empty."""
        most = {_EVENTS: _MOST_TEXT_BYTES, _STDERR: _MOST_TEXT_BYTES, _SAMPLES: samples.MOST_BYTES}
        outputs = {f"{OUTPUTS}/{index}.bin": product for index, product in enumerate(workload.products)}
        most |= {name: workload.cases * product.tensor.nbytes for name, product in outputs.items()}
        with tempfile.TemporaryDirectory(prefix="edgedeploy-") as scratch:
            there = launch_directory.fetch(self.transport, directory, most, Path(scratch), PULL_SEC)
            events, stderr = (there[name].read_text("utf-8", "replace") if name in there else "" for name in (_EVENTS, _STDERR))
            file = there.get(_SAMPLES)
            measured = samples.read(file) if file is not None and file.stat().st_size else Samples.none()
            given = [_output(there.get(name), product, workload.cases) for name, product in outputs.items()]
        return Measured(json_lines(events), measured, given, events, stderr)

    def text(self, path: str, most_bytes: int) -> str | None:
        """A text file of a launch; None when it is not there. Raises TransientError for one that is larger than that."""
        directory, _, name = path.rpartition("/")
        with tempfile.TemporaryDirectory(prefix="edgedeploy-") as scratch:
            there = launch_directory.fetch(
                self.transport, directory, {name: most_bytes}, Path(scratch), PULL_SEC
            )  # fmt: skip
            return there[name].read_text("utf-8", "replace") if name in there else None

    def cancel(self, directory: str) -> None:
        """End whatever runs in `directory`; fine when it has ended."""
        self.runner.cancel(directory, Deadline.after(CALL_SEC))

    def end(self, directory: str) -> None:
        """End whatever runs in `directory` and remove it; what cannot be reached is left alone."""
        with contextlib.suppress(EdgedeployError):
            self.runner.cancel(directory, Deadline.after(CALL_SEC))
            self.discard(directory)

    def discard(self, path: str) -> None:
        """Remove a launch's directory, or a run's, from the device."""
        with_backoff(lambda: self.transport.remove(path, Deadline.after(CALL_SEC)))


def _output(file: Path | None, product: Product, cases: int) -> npt.NDArray[Any] | None:
    """[cases, elements], None where it is not there as a whole."""
    if file is None or file.stat().st_size != cases * product.tensor.nbytes:
        return None
    return np.fromfile(file, np.dtype(product.tensor.dtype).newbyteorder("<")).reshape(cases, -1)


def _pauses(plan: Plan, look_sec: float | None) -> Iterator[float]:
    """Seconds before each look at a launch. A look costs the device a process: few while it cannot have finished."""
    yield from _FIRST_LOOKS_SEC
    quiet = min((plan.warmup.min_ms + plan.steady.min_ms) / 1000, plan.max_seconds)
    quiet = max(_SHORTEST_LOOK_SEC, quiet - sum(_FIRST_LOOKS_SEC))
    while look_sec is not None and quiet > look_sec:
        yield look_sec
        quiet -= look_sec
    yield quiet
    pause = _SHORTEST_LOOK_SEC
    while True:
        yield pause
        pause = min(pause * 1.5, _LONGEST_LOOK_SEC)


@contextmanager
def open_session(
    device: Device, waiting: Callable[[str], None] | None = None, wanted: Iterable[Model] = (), *, locks: bool = True
) -> Iterator[Session]:  # fmt: skip
    """The device, for us alone, with the runner installed.

    waiting: given, wait for a device that another process uses, and tell this what for. wanted: models that are to run there;
    for one that cannot, UserError is raised before anything is put on the device. locks: False where whoever calls holds
    the lock of that machine already, as of another share of this host. Raises DeviceInUse for one that is in
    use, when not waiting; TransientError when it cannot be reached.
    """
    with device_lock.locked(device, waiting) if locks else contextlib.nullcontext():
        transport = with_backoff(device.connect)
        try:
            with _runner(device, transport, wanted) as (inside, cache, runner):
                session = Session(device, inside, cache, runner, runner.hello(Deadline.after(CALL_SEC)))
                session.sweep()
                yield session
        finally:
            transport.close()


@contextmanager
def _runner(device: Device, transport: Transport, wanted: Iterable[Model]) -> Iterator[tuple[Transport, DeviceCache, Runner]]:
    """The runner that the device is to have, the transport to what is its work root, and the cache there."""
    if device.bundle == "app":
        from device_runner.app.entering import entered

        with entered(transport, wanted) as (inside, runner), leasing(device, inside) as cache:
            yield inside, cache, runner
    else:
        chosen = install.choose(transport, Deadline.after(CALL_SEC), device.bundle, wanted)
        with leasing(device, transport) as cache:
            yield transport, cache, install.put(chosen, transport, Deadline.after(PUSH_SEC), cache)
