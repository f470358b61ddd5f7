"""One experiment on several devices: each in a process of its own, which holds its device's lock and does what `benching`
does with one. This process writes the experiment down, says whose turn it is, and passes on what the others say.

A process each, and not a thread: a stopping signal has to reach each of them in the middle of whatever it does, and what one
of them breaks must not stop the others.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_runner import benching, experiment, inventory
from device_runner.conditions import machine
from device_runner.deadline import Deadline
from device_runner.inventory.address import identity
from device_runner.relay import Relay
from device_runner.results.opening import open_store
from device_runner.results.store import Store
from device_runner.runner import CALL_SEC
from device_runner.turns import Turns
from edgedeploy.errors import EdgedeployError, InternalError, TransientError, UserError
from edgedeploy.interrupt import held, stopping_raises

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from device_runner.benching import Shapes
    from device_runner.experiment import ExperimentFile
    from device_runner.inventory import Device
    from device_runner.passes import Pass
    from device_runner.session import Session
    from edgedeploy.progress import StatusLine
    from edgedeploy.record import Plan, RunRecord

#: what a terminal sends to every process of its foreground
_TERMINAL = (signal.SIGINT, signal.SIGHUP)
_KINDS: dict[str, type[EdgedeployError]] = {kind.kind: kind for kind in (UserError, TransientError, InternalError)}


@dataclass(frozen=True)
class Failure:
    """A device whose part is not finished, and why."""

    device: str
    error: EdgedeployError


@dataclass(frozen=True)
class Finished:
    """An experiment as far as it came: the runs that are committed, and the devices that failed."""

    id: str
    records: list[RunRecord]
    failures: list[Failure]


def bench(
    paths: Sequence[Path], wanted: Sequence[tuple[Device, Plan]], store: Store, seed: int, shapes: Shapes,
    progress: StatusLine, started: Callable[[str], None], with_accuracy: bool = False, *,
    passes: Sequence[Pass] = (), waits: bool = False,
) -> Finished:  # fmt: skip
    """As `benching.bench`, on each device by its plan. A device that fails is in the failures, and the others go on.

    Raises UserError before anything is measured, also where two names are one device, and the first device's error when none
    of them could be started.
    """
    refuse_twice([device for device, _ in wanted])
    found = benching.look(paths, shapes, progress, with_accuracy=with_accuracy)
    written = benching.set_out(found, wanted, seed, shapes, with_accuracy=with_accuracy, passes=passes)

    def write() -> None:
        experiment.write(store, written)
        started(written.id)

    return _run(store, written, {device.name: device for device, _ in wanted}, progress, write, resumes=False, waits=waits)


def resume(
    written: ExperimentFile, store: Store, progress: StatusLine, started: Callable[[str], None], *,
    only: Sequence[Device] = (), devices: Path | None = None, waits: bool = False,
) -> Finished:  # fmt: skip
    """Do what is missing of an experiment; only: of these devices alone, where any are named. Else as `benching.resume`."""
    started(written.id)
    named = {device.name for device in only}
    strange = named - {part.device for part in written.parts}
    if strange:
        there = ", ".join(part.device for part in written.parts)
        raise UserError(f"{written.id} is not on {', '.join(sorted(strange))}; it is on {there}")
    done = set(store.runs_of(written.id))
    missing = [part for part in written.parts if not done.issuperset(part.runs) and (not named or part.device in named)]
    if not missing:
        return Finished(written.id, [store.read(run) for run in written.runs if run in done], [])
    found: dict[str, Device] = {}
    failures = []
    for part in missing:
        try:
            found[part.device] = replace(inventory.resolve(part.device, devices), bundle=part.bundle)
        except (UserError, TransientError) as error:
            failures.append(Failure(part.device, error))
    refuse_twice(list(found.values()))
    finished = _run(store, written, found, progress, lambda: None, resumes=True, waits=waits) if found else None
    records = [store.read(run) for run in written.runs if store.is_finished(run)]
    return Finished(written.id, records, failures + (finished.failures if finished else []))


def refuse_twice(devices: Sequence[Device]) -> None:
    """Raise UserError where two of them are one device by its address."""
    seen: dict[str, str] = {}
    for device in devices:
        address = identity(device.target)
        if address in seen:
            both = device.name if seen[address] == device.name else f"{seen[address]} and {device.name}"
            raise UserError(f"{both}: the same device twice; name each once")
        seen[address] = device.name


def _run(
    store: Store, written: ExperimentFile, devices: Mapping[str, Device], progress: StatusLine, write: Callable[[], None], *,
    resumes: bool, waits: bool,
) -> Finished:  # fmt: skip
    names = [part.device for part in written.parts if part.device in devices]
    crew = _Crew(names, progress, write, begun=resumes)
    with contextlib.ExitStack() as stack:
        stack.enter_context(stopping_raises())
        if resumes:
            stack.enter_context(experiment.locked(store, written.id))
        for name in names:
            crew.start(name, (str(store), written, devices[name], waits))
        try:
            crew.work(lambda: stack.enter_context(experiment.locked(store, written.id)))
        except BaseException:
            with held():
                crew.stop()
            raise
        finally:
            progress.done()
    if not crew.begun:
        first = crew.failures[0].error
        raise type(first)("; ".join(f"{failure.device}: {failure.error}" for failure in crew.failures))
    records = [store.read(run) for run in store.runs_of(written.id)]
    return Finished(written.id, records, sorted(crew.failures, key=lambda failure: names.index(failure.device)))


class _Crew:
    """The processes of an experiment. write: what writes it down, called once the first device is there."""

    def __init__(self, names: Sequence[str], progress: StatusLine, write: Callable[[], None], *, begun: bool) -> None:
        self._turns = Turns(names, machine.this_hosts_kernel())
        self._progress, self._write, self.begun = progress, write, begun
        self._said: dict[str, str] = {}
        self.failures: list[Failure] = []
        self._names: dict[Connection[Any, Any], str] = {}
        self._processes: dict[str, SpawnProcess] = {}

    def start(self, name: str, arguments: tuple[Any, ...]) -> None:
        # a new interpreter, not a fork: this one may have threads, whose locks a fork would copy as they happen to be
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_measure, args=(theirs, *arguments), name=f"edgedeploy {name}")
        # a Ctrl-C in a terminal reaches the children too, and is passed on to them by this process, once; a child that has not
        # come so far as to ignore it must not die of it
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _TERMINAL)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self._processes[name], self._names[ours] = process, name

    def work(self, lock: Callable[[], object]) -> None:
        """Until all have ended. lock: takes the experiment's lock, after it was written."""
        while self._names:
            for ready in wait(list(self._names)):
                assert isinstance(ready, Connection)
                self._hear(ready, lock)

    def stop(self) -> None:
        """Have each of them end its launch and put its device back, and wait for it."""
        for process in self._processes.values():
            if process.is_alive():
                process.terminate()
        while self._names:
            for ready in wait(list(self._names)):
                assert isinstance(ready, Connection)
                try:
                    kind, *said = ready.recv()
                except EOFError:
                    self._names.pop(ready)
                    continue
                self._pass_on(self._names[ready], kind, said)
        for process in self._processes.values():
            process.join()

    def _hear(self, connection: Connection[Any, Any], lock: Callable[[], object]) -> None:
        name = self._names[connection]
        try:
            kind, *said = connection.recv()
        except EOFError:
            self._ended(connection)
            return
        if kind == "ready":
            if not self.begun:
                self._write()
                lock()
                self.begun = True
            self._turns.ready(name, said[0])
            self._grant()
        elif kind == "failed":
            self.failures.append(Failure(name, _KINDS[said[0]](said[1])))
            self._progress.line(f"{name}: failed: {said[1]}")
        elif kind == "done":
            self._progress.line(f"{name}: done")
        else:
            self._pass_on(name, kind, said)
        if kind in ("failed", "done"):
            self._turns.done(name)
            self._names.pop(connection)
            self._processes[name].join()
            self._grant()

    def _pass_on(self, name: str, kind: str, said: Sequence[str]) -> None:
        if kind == "line":
            self._progress.line(f"{name}: {said[0]}")
        elif kind == "now":
            self._progress.now(f"{name}: {said[0]}")

    def _ended(self, connection: Connection[Any, Any]) -> None:
        """One that ended without a word: killed, or out of memory."""
        name = self._names.pop(connection)
        self._processes[name].join()
        code = self._processes[name].exitcode
        error = TransientError(f"the process that measured on {name} ended (exit code {code})")
        self.failures.append(Failure(name, error))
        self._turns.done(name)
        self._grant()

    def _grant(self) -> None:
        granted = self._turns.granted()
        for connection, name in self._names.items():
            if name in granted:
                # who has died meanwhile is heard of by its connection's end
                with contextlib.suppress(OSError):
                    connection.send("go")
        for name, why in self._turns.waiting().items():
            if self._said.get(name) != why:
                self._said[name] = why
                self._progress.line(f"{name}: waits for {why}")


def _measure(connection: Connection[Any, Any], root: str, written: ExperimentFile, device: Device, waits: bool) -> None:
    """In the device's own process: its part, from the connection to the committed runs."""
    for number in _TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _TERMINAL)
    part = next(part for part in written.parts if part.device == device.name)
    store, relay = open_store(root), Relay(connection)

    def ready(session: Session) -> None:
        kernel = machine.running_kernel(session.transport, Deadline.after(CALL_SEC))
        connection.send(("ready", kernel))
        connection.recv()

    try:
        # a launch of this very experiment may run there, also of one that has just begun: by another name of the machine
        wanted = [Path(entry.path) for entry in written.entries(part)]
        with benching.on_device(device, part.plan, written.id, relay, wait=waits, wanted=wanted, ready=ready) as session:
            benching.run_part(store, written, part, benching.again(written, part, session), session, relay)
    except (KeyboardInterrupt, EOFError, BrokenPipeError):
        # stopped, or nobody is there any more to measure for
        raise SystemExit(130) from None
    except EdgedeployError as error:
        connection.send(("failed", error.kind, str(error)))
    else:
        connection.send(("done",))
