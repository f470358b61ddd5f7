"""An experiment's launches on one device, in their order, each written down before the next."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from device_runner import accuracy, device_isa
from device_runner.instant import now
from device_runner.launching import Launching, Step
from device_runner.passes import memory, profile
from device_runner.plans import until
from device_runner.recording import Recording
from edgedeploy import __version__
from edgedeploy.errors import TransientError, UserError
from edgedeploy.interrupt import held
from edgedeploy.record import Experiment, Plan, RunRecord

if TYPE_CHECKING:
    from device_runner.accuracy import Evaluation
    from device_runner.experiment import ExperimentFile, Part
    from device_runner.place import Place
    from device_runner.results.store import Store
    from device_runner.workload import Workload
    from edgedeploy.progress import StatusLine


T = TypeVar("T")


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

        self._launching = Launching(session, self._plan, progress, self._commit)

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
        for block, steps in itertools.groupby(enumerate(self._steps), key=lambda step: step[1][0]):
            if self._all_said(block):
                break
            wanted = []
            for position, (_, run) in steps:
                recording = self._recordings[run]
                if recording.finished or recording.given_up or recording.said:
                    continue
                wanted.append(Step(recording, position, block, self._label(recording, position)))
            if self._plan.turn_ms is not None:
                if not self._launching.in_turns(wanted, len(self._recordings)):
                    break
                continue
            for step in wanted:
                if not step.recording.done(step.position):
                    self._launching.alone(step)
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
        if self._plan.turn_ms is not None:
            # one that has what it needs goes on for the others, which are measured beside it
            for recording in self._recordings.values():
                recording.said = False
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

    def _label(self, recording: Recording, position: int) -> str:
        name = recording.workload.artifact.label
        if self._plan.until is None:
            return f"[{position + 1}/{len(self._steps)}] {name}"
        medians = until.medians_of(recording.launches)
        width = until.half_width(medians)
        now_at = f"±{100 * width:.2g} %" if width is not None else f"no look before {until.MIN_LAUNCHES}"
        return f"[launch {len(medians) + 1}, {now_at} of ±{100 * self._plan.until:g} %] {name}"

    def _commit(self, recording: Recording) -> None:
        recording.writer.partial(recording.record(self._order(), ""))
