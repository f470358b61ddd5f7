"""An experiment's launches on one device, in their order, each written down before the next."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from device_runner import accuracy, device_isa, launches, plans
from device_runner.conditions import heat
from device_runner.deadline import Deadline
from device_runner.instant import now
from device_runner.launch_directory import Evicted
from device_runner.passes import memory, profile
from device_runner.plan import document
from device_runner.plans import until
from device_runner.recording import INTERRUPTED, Recording
from device_runner.runner import RunnerRefused, Status
from device_runner.samples import Samples
from edgedeploy import __version__
from edgedeploy.errors import EdgedeployError, TransientError, UserError
from edgedeploy.interrupt import held
from edgedeploy.record import Context, Experiment, Launch, Plan, RunRecord

if TYPE_CHECKING:
    from device_runner.accuracy import Evaluation
    from device_runner.experiment import ExperimentFile, Part
    from device_runner.place import Place
    from device_runner.results.store import Store
    from device_runner.session import Measured, Staged
    from device_runner.workload import Workload
    from edgedeploy.progress import StatusLine


T = TypeVar("T")

#: how long a device that went away is waited for before the experiment is left to be resumed: a restart takes less
PATIENCE_SEC = 90.0
_AGAIN_SEC = 2.0


class Campaign:
    """part: of the experiment, for the device of the session. workloads: by run, one for each run of the part."""

    def __init__(
        self,
        store: Store,
        experiment: ExperimentFile,
        part: Part,
        workloads: Mapping[str, Workload],
        session: Place,
        progress: StatusLine,
    ) -> None:
        self._experiment, self._session, self._progress, self._store = experiment, session, progress, store
        self._plan, self._steps = part.plan, part.order
        self._staged: dict[str, Staged] = {}
        #: runs of which a launch was begun here
        self._begun: set[str] = set()
        self._recordings = {
            run: Recording(
                store,
                run,
                workload,
                self._plan,
                session.devices,
                self._software(workload),
                functools.partial(session.together, workload),
            )
            for run, workload in workloads.items()
        }
        for recording in self._recordings.values():
            for hello in session.versions.values():
                warning = device_isa.mismatch(recording.workload.artifact.target_isa, hello)
                if warning:
                    recording.warnings.append(warning)
            if any(device.facts.get("emulated") for device in session.devices):
                recording.warnings.append("the device's CPU is emulated: the outputs mean something, no time does")

    def _software(self, workload: Workload) -> dict[str, str]:
        software = {"edgedeploy": __version__}
        for where, hello in self._session.versions.items():
            build = hello.get("build")
            if isinstance(build, dict):
                software[f"edgebench{where}"] = str(build.get("version", ""))[:200]
            runtime, versions = workload.artifact.runtime, hello.get("runtimes")
            # a runtime the runner does not have is the artifact's error, said by its launches
            if isinstance(versions, dict) and isinstance(versions.get(runtime), str):
                software[f"{runtime}{where}"] = versions[runtime][:200]
        return software

    def evaluate(self, evaluations: Mapping[str, Evaluation]) -> None:
        """Measure accuracy on the device where it is not known yet, before anything is timed. A failure is a warning."""
        for run, asked in evaluations.items():
            recording = self._recordings[run]
            if recording.finished or recording.device_accuracy is not None:
                continue
            self._progress.now(f"{recording.workload.artifact.label}: accuracy over {len(asked.labels)} samples")
            try:
                recording.device_accuracy = accuracy.measure(asked, self._session)
            except (UserError, TransientError) as error:
                recording.warnings.append(str(error))

    def run(self) -> list[RunRecord]:
        """Do every launch that is not done, then commit the runs.

        KeyboardInterrupt leaves all of them to be resumed. So does TransientError: the device stayed away.
        """
        begun = -1
        for position, (block, run) in enumerate(self._steps):
            if block != begun and self._all_said(block):
                break
            begun = block
            recording = self._recordings[run]
            if recording.finished or recording.given_up or recording.said or recording.done(position):
                continue
            self._launch(recording, position, block)
        records = []
        for run, recording in self._recordings.items():
            if not recording.finished:
                self._passes(recording)
                with held():
                    recording.writer.finish(recording.record(self._order(), now()))
                with contextlib.suppress(TransientError):
                    self._session.discard(f"runs/{run}")
            records.append(self._store.read(run))
        return records

    def _passes(self, recording: Recording) -> None:
        """What is measured in launches of its own, when the timed ones are done. A failure is a warning."""
        if not any(launch.valid for launch in recording.launches):
            return
        label = recording.workload.artifact.label
        if "memory" in self._experiment.passes and recording.memory is None:
            self._progress.now(f"{label}: memory")
            recording.memory = self._pass(recording, memory.measure)
        if "profile" in self._experiment.passes and recording.profile is None:
            self._progress.now(f"{label}: profile")
            recording.profile = self._pass(recording, profile.measure)

    def _pass(self, recording: Recording, measure: Callable[[Workload, Place, Plan], T]) -> T | None:
        try:
            found = measure(recording.workload, self._session, self._plan)
        except (UserError, TransientError) as error:
            recording.warnings.append(str(error))
            return None
        return found

    def _all_said(self, block: int) -> bool:
        """Before a block: whether no run needs it, or the budget forbids it. What is decided is of launches that are on disk,
        so that a resumed experiment decides alike."""
        if self._plan.until is None:
            return False
        for recording in self._recordings.values():
            # of what came before this block alone: a resumed one has launches of this block already
            recording.said = until.reached(self._plan, [launch for launch in recording.launches if launch.block < block])
        if all(recording.finished or recording.given_up or recording.said for recording in self._recordings.values()):
            return True
        budget = self._plan.budget_sec
        spent = sum(until.spent_sec(recording.launches) for recording in self._recordings.values())
        return budget is not None and spent >= budget

    def _order(self) -> Experiment:
        started = sorted(
            (launch.position, launch.index, run) for run, recording in self._recordings.items() for launch in recording.launches
        )
        order = tuple((run, index) for _, index, run in started)
        return Experiment(
            id=self._experiment.id, seed=self._experiment.seed, runs=tuple(self._recordings), order=order
        )  # fmt: skip

    def _launch(self, recording: Recording, position: int, block: int) -> None:
        index = recording.next_index(position)
        directory = f"runs/{recording.run}/{index}"
        label = self._label(recording, position)
        started, began = now(), time.monotonic()
        during: list[Context] = []
        before: Context | None = None
        overtime: list[dict[str, Any]] = []
        flags: tuple[str, ...] = ()

        def failed(code: str, reason: str) -> None:
            launch = launches.failed(index, position, block, started, code, reason)
            self._failed(recording, launch.model_copy(update={"before": before}), label)

        def lost(error: TransientError) -> None:
            self._come_back(directory)
            with held():
                launch, found = self._salvaged(recording, directory, index, position, block, started, before, error)
                self._failed(recording, launch, label, found)

        try:
            # by a process before this one, so only where this one starts its first
            resumed = recording.run not in self._begun and self._session.left_behind(directory)
            self._begun.add(recording.run)
            # nothing is under way yet: a Ctrl-C here leaves the launch to whoever resumes
            shut = (
                "" if resumed else self._session.wait_for_gates(self._plan, lambda text: self._progress.now(f"{label}: {text}"))
            )
        except TransientError as error:
            lost(error)
            return
        try:
            self._progress.now(f"{label}: starting")
            if resumed:
                flags = ("the host had gone away; fetched when the experiment was resumed",)
            else:
                before = self._context()
                if shut:
                    failed("gate", shut)
                    return
                self._start(recording, directory)
            look_sec = plans.MODES[self._plan.mode].look_sec if self._plan.mode in plans.MODES else None
            if not self._session.wait(directory, self._plan, lambda status: self._watch(label, status, during), look_sec):
                overtime = [launches.overtime(self._plan.max_seconds)]
            measured = self._session.collect(directory, recording.workload)
            measured.events.extend(overtime)
            after = self._context()
        except KeyboardInterrupt:
            with held():
                self._interrupted(recording, directory, index, position, block, started, before)
            raise
        except RunnerRefused as error:
            self._abandon(directory)
            failed(str(error.error.get("code", "internal")), str(error))
            return
        except TransientError as error:
            lost(error)
            return
        launch = launches.entry(
            recording.workload, measured, index=index, position=position, block=block, started=started,
            before=before, after=after, flags=flags, during=tuple(during), plan=self._plan,
        )  # fmt: skip
        launch = launch.model_copy(update={"took_sec": time.monotonic() - began})
        with held():
            recording.add(launch, launches.first_sample(measured), measured.samples, _logs(measured), measured.crossings)
            self._commit(recording)
        with contextlib.suppress(TransientError):
            self._session.discard(directory)
        median = f"median {launch.steady_median_ns / 1e6:.3f} ms" if launch.steady_median_ns else "no sample"
        self._progress.line(f"{label}: {median if launch.valid else 'not valid: ' + '; '.join(launch.invalid_because)}")

    def _context(self) -> Context:
        context = self._session.context()
        hottest = heat.hottest(context.temperatures_c)
        if hottest is not None:
            self._progress.temperature(hottest[1])
        return context

    def _start(self, recording: Recording, directory: str) -> None:
        if recording.run not in self._staged:
            self._staged[recording.run] = self._session.stage(recording.workload)
        plan = document(recording.workload, self._plan, outputs=recording.workload.checked)
        try:
            self._session.start(directory, self._staged[recording.run], plan)
        except Evicted:
            self._session.renew()
            self._staged[recording.run] = self._session.stage(recording.workload)
            self._session.start(directory, self._staged[recording.run], plan)

    def _label(self, recording: Recording, position: int) -> str:
        name = recording.workload.artifact.label
        if self._plan.until is None:
            return f"[{position + 1}/{len(self._steps)}] {name}"
        medians = until.medians_of(recording.launches)
        width = until.half_width(medians)
        now_at = f"±{100 * width:.2g} %" if width is not None else f"no look before {until.MIN_LAUNCHES}"
        return f"[launch {len(medians) + 1}, {now_at} of ±{100 * self._plan.until:g} %] {name}"

    def _watch(self, label: str, status: Status, during: list[Context]) -> None:
        if status.phase == "steady" and self._plan.mode == "sustained":
            with contextlib.suppress(TransientError):
                during.append(self._context())
        self._progress.now(f"{label}: {status.phase}, {status.warmup_samples} + {status.steady_samples} samples")

    def _commit(self, recording: Recording) -> None:
        recording.writer.partial(recording.record(self._order(), ""))

    def _failed(self, recording: Recording, launch: Launch, label: str, measured: Measured | None = None) -> None:
        with held():
            if measured is None:
                recording.add(launch, None, Samples.none(), {})
            else:
                recording.add(launch, launches.first_sample(measured), measured.samples, _logs(measured), measured.crossings)
            self._commit(recording)
        said = "fetched late" if launch.valid else f"failed: {'; '.join(launch.invalid_because)}"
        self._progress.line(f"{label}: {said}")

    def _come_back(self, directory: str) -> None:
        """Wait for a device that went away, and end what may still run in `directory`: nothing is to be measured beside it.

        Raises TransientError when it stays away: then nothing is known of the launch, and it is fetched on resume.
        """
        deadline = Deadline.after(PATIENCE_SEC)
        self._progress.now(f"waiting for {self._session.name}, at most {PATIENCE_SEC:.0f} s")
        while True:
            try:
                self._session.renew()
                self._session.cancel(directory)
            except TransientError:
                if deadline.expired:
                    raise
                time.sleep(_AGAIN_SEC)
            else:
                break
        # what was pushed may have been on a file system that a restart empties; by content, it costs little to look
        self._staged.clear()

    def _salvaged(
        self, recording: Recording, directory: str, index: int, position: int, block: int, started: str,
        before: Context | None, error: TransientError,
    ) -> tuple[Launch, Measured | None]:  # fmt: skip
        """What a launch left behind whose device was away, as its entry: whole if it ended meanwhile, else not valid."""
        try:
            measured = self._session.collect(directory, recording.workload)
            self._session.discard(directory)
        except TransientError:
            measured = None
        if measured is None or not measured.events:
            return launches.failed(index, position, block, started, "transient", str(error)), None
        stopped = "" if measured.event("end") else f"the device was lost meanwhile: {error}"
        launch = launches.entry(
            recording.workload, measured, index=index, position=position, block=block, started=started,
            before=before, after=None, flags=("the device was away when it ended",), stopped=stopped, plan=self._plan,
        )  # fmt: skip
        return launch, measured

    def _abandon(self, directory: str) -> None:
        # it may run on although we lost it: nothing else is to be measured beside it
        with contextlib.suppress(EdgedeployError):
            self._session.cancel(directory)

    def _interrupted(
        self, recording: Recording, directory: str, index: int, position: int, block: int, started: str, before: Context | None
    ) -> None:
        """End the launch on the device and keep what it measured; it does not count, and is done again on resume.

        One that cannot be reached is not entered: it runs to its end by itself, and is fetched on resume.
        """
        self._progress.now("stopping")
        reason = "stopped from the keyboard or by a signal"
        try:
            self._session.cancel(directory)
            measured = self._session.collect(directory, recording.workload)
            launch = launches.entry(
                recording.workload, measured, index=index, position=position, block=block, started=started,
                before=before, after=None, flags=(INTERRUPTED,), stopped=reason, plan=self._plan,
            )  # fmt: skip
            recording.add(launch, launches.first_sample(measured), measured.samples, _logs(measured), measured.crossings)
            self._session.discard(directory)
        except (TransientError, UserError):
            return
        self._commit(recording)


def _logs(measured: Measured) -> dict[str, str]:
    return {"events.jsonl": measured.events_text, "stderr.txt": measured.stderr, **measured.logs}
