"""Launches under way on a device: begun, waited for, fetched and entered, whatever happens to the device meanwhile."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from device_runner import launches, plans
from device_runner.conditions import heat
from device_runner.deadline import Deadline
from device_runner.instant import now
from device_runner.launch_directory import Evicted
from device_runner.plan import document
from device_runner.plans import in_turns
from device_runner.recording import INTERRUPTED, Recording
from device_runner.runner import RunnerRefused, Status
from device_runner.samples import Samples
from edgedeploy.errors import EdgedeployError, TransientError, UserError
from edgedeploy.interrupt import held
from edgedeploy.record import Context, Launch, Plan

if TYPE_CHECKING:
    from device_runner.place import Place
    from device_runner.session import Measured, Staged
    from edgedeploy.progress import StatusLine

#: how long a device that went away is waited for before the experiment is left to be resumed: a restart takes less
PATIENCE_SEC = 90.0
_AGAIN_SEC = 2.0
_RESUMED = "the host had gone away; fetched when the experiment was resumed"
_ALONE = "not all that it was to take turns with are there: one has failed for good, or was measured without it"


@dataclass(frozen=True)
class Step:
    """A launch of the experiment's order. label: what it is called while it is under way."""

    recording: Recording
    position: int
    block: int
    label: str


@dataclass
class _Begun:
    """A launch that was begun, here or by a host that went away."""

    step: Step
    index: int
    started: str = field(default_factory=now)
    began: float = field(default_factory=time.monotonic)
    before: Context | None = None
    flags: tuple[str, ...] = ()
    during: list[Context] = field(default_factory=list)
    #: whether the record has it
    entered: bool = False

    @property
    def recording(self) -> Recording:
        return self.step.recording

    @property
    def directory(self) -> str:
        return f"runs/{self.recording.run}/{self.index}"

    def failed(self, code: str, reason: str) -> Launch:
        """Its entry when nothing is known of it but that it was to be."""
        launch = launches.failed(self.index, self.step.position, self.step.block, self.started, code, reason)
        return launch.model_copy(update={"before": self.before})

    def entry(self, measured: Measured, plan: Plan, after: Context | None = None, stopped: str = "") -> Launch:
        return launches.entry(
            self.recording.workload, measured, index=self.index, position=self.step.position, block=self.step.block,
            started=self.started, before=self.before, after=after, flags=self.flags, during=tuple(self.during), plan=plan,
            stopped=stopped,
        )  # fmt: skip


class Launching:
    """commit: writes down what a recording has so far; called after each launch, before the next."""

    def __init__(self, session: Place, plan: Plan, progress: StatusLine, commit: Callable[[Recording], None]) -> None:
        self._session, self._plan, self._progress, self._commit = session, plan, progress, commit
        self._staged: dict[str, Staged] = {}
        #: runs of which a launch was begun here
        self._known: set[str] = set()
        #: while a device is waited for that went away: what ran there is left to whoever resumes
        self._away = False

    def alone(self, step: Step) -> None:
        """Do one launch. KeyboardInterrupt leaves it to be done again; so does TransientError, when the device stays away."""
        self._together([step])

    def in_turns(self, steps: Sequence[Step], count: int) -> bool:
        """Do a block's launches side by side, where they take turns of `turn_ms`; `count` is of all that were to. Where one of
        them is missing the others are not valid: their times would be of other conditions. False: further blocks would
        be no better."""
        missing = [step for step in steps if not step.recording.done(step.position)]
        if missing:
            self._together(missing, whole=len(missing) == count)
        return len(steps) == count

    def _together(self, steps: Sequence[Step], *, whole: bool = True) -> None:
        under = [_Begun(step, step.recording.next_index(step.position)) for step in steps]
        try:
            under = self._begin(under, whole)
        except KeyboardInterrupt:
            self._interrupted([one for one in under if one.before is not None])
            raise
        try:
            for at, one in enumerate(under):
                self._end(one, len(under), _waited(self._plan, len(under), at))
        except KeyboardInterrupt:
            self._interrupted(under)
            raise

    def _begin(self, under: list[_Begun], whole: bool) -> list[_Begun]:
        """Those that now run. The others are entered."""
        label = under[0].step.label
        try:
            # by a process before this one, so only where this one starts its first
            left = [one for one in under if one.recording.run not in self._known and self._session.left_behind(one.directory)]
            self._known.update(one.recording.run for one in under)
            # nothing is under way yet: a Ctrl-C here leaves the launch to whoever resumes
            shut = (
                ""
                if left or not whole
                else self._session.wait_for_gates(self._plan, lambda text: self._progress.now(f"{label}: {text}"))
            )
            if not left and whole:
                self._progress.now(f"{label}: starting")
                before = self._context()
                for one in under:
                    one.before = before
        except TransientError as error:
            self._lost(under, error)
            return []
        if left or not whole:
            for one in under:
                if one in left:
                    one.flags = (_RESUMED,)
                else:
                    self._failed(one, "alone", _ALONE)
            return left
        if shut:
            for one in under:
                self._failed(one, "gate", shut)
            return []
        try:
            self._start(under)
        except RunnerRefused as error:
            self._abandon(under)
            for one in under:
                self._failed(one, str(error.error.get("code", "internal")), str(error))
            return []
        except TransientError as error:
            self._lost(under, error)
            return []
        return under

    def _start(self, under: Sequence[_Begun]) -> None:
        for one in under:
            if one.recording.run not in self._staged:
                self._staged[one.recording.run] = self._session.stage(one.recording.workload)
        try:
            self._start_staged(under)
        except Evicted:
            self._session.renew()
            for one in under:
                self._staged[one.recording.run] = self._session.stage(one.recording.workload)
            self._start_staged(under)

    def _start_staged(self, under: Sequence[_Begun]) -> None:
        turns = len(under) if self._plan.turn_ms is not None else 0
        wanted = []
        for one in under:
            workload = one.recording.workload
            plan = document(workload, self._plan, outputs=workload.checked, in_turns=turns)
            wanted.append((one.directory, self._staged[one.recording.run], plan))
        if turns:
            self._session.start_together(wanted)
        else:
            self._session.start(*wanted[0])

    def _end(self, one: _Begun, count: int, waited: Plan) -> None:
        """Wait for a launch, of `count` that share the time it takes, and enter it. waited: how long it may take."""
        overtime: list[dict[str, Any]] = []
        try:
            look_sec = plans.MODES[self._plan.mode].look_sec if self._plan.mode in plans.MODES else None
            if not self._session.wait(one.directory, waited, lambda status: self._watch(one, status), look_sec):
                overtime = [launches.overtime(waited.max_seconds)]
            measured = self._session.collect(one.directory, one.recording.workload)
            measured.events.extend(overtime)
            after = self._context()
        except RunnerRefused as error:
            self._abandon([one])
            self._failed(one, str(error.error.get("code", "internal")), str(error))
            return
        except TransientError as error:
            self._lost([one], error)
            return
        launch = one.entry(measured, self._plan, after)
        launch = launch.model_copy(update={"took_sec": (time.monotonic() - one.began) / count})
        with held():
            self._add(one, launch, measured)
        with contextlib.suppress(TransientError):
            self._session.discard(one.directory)
        median = f"median {launch.steady_median_ns / 1e6:.3f} ms" if launch.steady_median_ns else "no sample"
        said = median if launch.valid else f"not valid: {'; '.join(launch.invalid_because)}"
        self._progress.line(f"{one.step.label}: {said}")

    def _add(self, one: _Begun, launch: Launch, measured: Measured | None) -> None:
        one.entered = True
        if measured is None:
            one.recording.add(launch, None, Samples.none(), {})
        else:
            one.recording.add(launch, launches.first_sample(measured), measured.samples, _logs(measured), measured.crossings)
        self._commit(one.recording)

    def _failed(self, one: _Begun, code: str, reason: str) -> None:
        self._entered(one, one.failed(code, reason))

    def _entered(self, one: _Begun, launch: Launch, measured: Measured | None = None) -> None:
        with held():
            self._add(one, launch, measured)
        said = "fetched late" if launch.valid else f"failed: {'; '.join(launch.invalid_because)}"
        self._progress.line(f"{one.step.label}: {said}")

    def _context(self) -> Context:
        context = self._session.context()
        hottest = heat.hottest(context.temperatures_c)
        if hottest is not None:
            self._progress.temperature(hottest[1])
        return context

    def _watch(self, one: _Begun, status: Status) -> None:
        if status.phase == "steady" and self._plan.mode == "sustained":
            with contextlib.suppress(TransientError):
                one.during.append(self._context())
        self._progress.now(f"{one.step.label}: {status.phase}, {status.warmup_samples} + {status.steady_samples} samples")

    def _lost(self, under: Sequence[_Begun], error: TransientError) -> None:
        """The device went away. Wait for it and enter what they left; raises TransientError when it stays away."""
        self._away = True
        self._come_back([one.directory for one in under])
        self._away = False
        for one in under:
            with held():
                self._entered(one, *self._salvaged(one, error))

    def _come_back(self, directories: Sequence[str]) -> None:
        """Wait for a device that went away, and end what may still run in `directories`: nothing is to be measured beside it.

        Raises TransientError when it stays away: then nothing is known of the launch, and it is fetched on resume.
        """
        deadline = Deadline.after(PATIENCE_SEC)
        self._progress.now(f"waiting for {self._session.name}, at most {PATIENCE_SEC:.0f} s")
        while True:
            try:
                self._session.renew()
                for directory in directories:
                    self._session.cancel(directory)
            except TransientError:
                if deadline.expired:
                    raise
                time.sleep(_AGAIN_SEC)
            else:
                break
        # what was pushed may have been on a file system that a restart empties; by content, it costs little to look
        self._staged.clear()

    def _salvaged(self, one: _Begun, error: TransientError) -> tuple[Launch, Measured | None]:
        """What a launch left behind whose device was away, as its entry: whole if it ended meanwhile, else not valid."""
        try:
            measured = self._session.collect(one.directory, one.recording.workload)
            self._session.discard(one.directory)
        except TransientError:
            measured = None
        if measured is None or not measured.events:
            return one.failed("transient", str(error)), None
        one.flags = ("the device was away when it ended",)
        stopped = "" if measured.event("end") else f"the device was lost meanwhile: {error}"
        return one.entry(measured, self._plan, stopped=stopped), measured

    def _abandon(self, under: Sequence[_Begun]) -> None:
        # it may run on although we lost it: nothing else is to be measured beside it
        for one in under:
            with contextlib.suppress(EdgedeployError):
                self._session.cancel(one.directory)

    def _interrupted(self, under: Sequence[_Begun]) -> None:
        """End launches on the device and keep what they measured; they do not count, and are done again on resume.

        One that cannot be reached is not entered: it runs to its end by itself, and is fetched on resume.
        """
        if self._away:
            return
        with held():
            self._progress.now("stopping")
            for one in under:
                if one.entered:
                    continue
                one.flags = (INTERRUPTED,)
                try:
                    self._session.cancel(one.directory)
                    measured = self._session.collect(one.directory, one.recording.workload)
                    launch = one.entry(measured, self._plan, stopped="stopped from the keyboard or by a signal")
                    self._add(one, launch, measured)
                    self._session.discard(one.directory)
                except (TransientError, UserError):
                    continue


def _waited(plan: Plan, count: int, at: int) -> Plan:
    """How long the launch at place `at` of `count` that take turns is waited for: each waits for all; the later ones have
    ended, or nearly, when the first has."""
    if count == 1:
        return plan
    share = count if at == 0 else 0
    phases = {name: getattr(plan, name) for name in ("warmup", "steady")}
    scaled = {name: phase.model_copy(update={"min_ms": phase.min_ms * share}) for name, phase in phases.items()}
    return plan.model_copy(update={"max_seconds": in_turns.max_seconds(plan, count), **scaled})


def _logs(measured: Measured) -> dict[str, str]:
    return {"events.jsonl": measured.events_text, "stderr.txt": measured.stderr, **measured.logs}
