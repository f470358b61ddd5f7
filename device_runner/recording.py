"""One run while it is measured: its launches so far, on disk after each, and the record it becomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from device_runner.instant import now
from device_runner.launches import failed, lasting
from device_runner.plans import sustained, until
from device_runner.plans.until import MIN_LAUNCHES
from device_runner.results.statistics import estimate, scaled
from device_runner.results.store import Store
from device_runner.results.writer import RunWriter, next_index
from device_runner.samples import Samples
from device_runner.validity import look
from device_runner.workload import Workload
from edgedeploy.artifact import Accuracy
from edgedeploy.errors import UserError
from edgedeploy.record import Device, Experiment, Interval, Launch, MemoryUse, Plan, Profile, RunRecord, Sustained

if TYPE_CHECKING:
    from device_runner.samples import Ns

#: flag of a launch that was cut off from this side: its position is measured again when the experiment is resumed
INTERRUPTED = "interrupted"
_NS_PER_MS = 1e6


class Recording:
    """The state of one run. Reads what is on disk already, so that a resumed one goes on where it was."""

    def __init__(
        self, store: Store, run: str, workload: Workload, plan: Plan, devices: tuple[Device, ...],
        software: dict[str, str], together: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:  # fmt: skip
        """together: what the record says of a run over two devices besides, as it is known by then: `path` and `split`."""
        self.run, self.workload, self._plan = run, workload, plan
        self._devices, self._software, self._together = devices, software, together
        self.finished = store.is_finished(run)
        before = store.read(run) if self.finished else store.read_partial(run)
        self._created = before.created if before else now()
        self.launches: list[Launch] = list(before.launches) if before else []
        self.warnings: list[str] = []
        self.sustained: list[Sustained] = list(before.sustained) if before else []
        #: whether its interval is as narrow as was asked, so that it needs no more launches
        self.said = False
        self.device_accuracy: Accuracy | None = before.device_accuracy if before else None
        #: what passes of their own found
        self.profile: Profile | None = before.profile if before else None
        self.memory: MemoryUse | None = before.memory if before else None
        if before and [*map(_machine, before.devices)] != [*map(_machine, devices)]:
            raise UserError(f"{run} was begun on another device; its launches cannot be gone on with on this one")
        stage = 0 if len(workload.parts) == 1 and len(devices) == 1 else None
        self._writer = None if self.finished else RunWriter(store, run, stage)

    @property
    def writer(self) -> RunWriter:
        assert self._writer is not None, "a finished run is not written"
        return self._writer

    @property
    def given_up(self) -> bool:
        """Whether the artifact itself failed."""
        return any(
            lasting(launch, any(before.valid for before in self.launches[:at])) for at, launch in enumerate(self.launches)
        )

    def done(self, position: int) -> bool:
        return any(launch.position == position and INTERRUPTED not in launch.flags for launch in self.launches)

    def next_index(self, position: int) -> int:
        """The index of the launch to start. One that was sampled but never recorded is first entered as lost."""
        known = {launch.index for launch in self.launches}
        for index in sorted(self.writer.streamed_launches() - known):
            lost = failed(index, position, 0, now(), "cancelled", "the host stopped before this launch was recorded")
            self.launches.append(lost.model_copy(update={"flags": (INTERRUPTED,)}))
        return next_index(self.writer, tuple(self.launches))

    def add(
        self, launch: Launch, first: tuple[int, int] | None, samples: Samples, logs: dict[str, str], crossings: Ns | None = None
    ) -> None:
        """Enter a launch: its samples first, then that it is there."""
        for name, text in logs.items():
            self.writer.keep_log(launch.index, name, text)
        self.writer.append(launch.index, first, look.marked(samples, launch.unsettled_count), crossings)
        self.launches.append(launch)
        if self._plan.mode == sustained.MODE.name and launch.valid:
            found = sustained.curve(launch.index, samples.steady)
            self.sustained += [found] if found is not None else []

    def record(self, experiment: Experiment, finished: str) -> RunRecord:
        """The run as it stands. `finished` is empty while it runs, and it is not valid until then."""
        valid = [launch for launch in self.launches if launch.valid]
        reasons = tuple(_reasons(self.launches))
        # with --until the number of launches is what it came to
        asked = self._plan.launches if self._plan.until is None else max(MIN_LAUNCHES, self._positions())
        enough = bool(finished) and 2 * len(valid) > asked
        warnings = [*self.warnings, *self._not_narrow(finished)]
        if enough and reasons:
            warnings += reasons
        if not finished:
            reasons = ("not finished", *reasons)
        elif not enough:
            reasons = reasons or (f"{len(valid)} of {asked} launches are there",)
        median = _ms((launch.steady_median_ns for launch in valid), "median of each launch")
        return RunRecord(
            id=self.run, created=self._created, finished=finished, artifact=self.workload.artifact,
            devices=self._devices, plan=self._plan, experiment=experiment, software=self._software,
            launches=tuple(self.launches), valid=enough, invalid_because=() if enough else reasons,
            warnings=tuple(dict.fromkeys(warnings)), device_accuracy=self.device_accuracy,
            median_ms=until.widened(median) if self._plan.until is not None else median,
            p90_ms=_ms((launch.steady_p90_ns for launch in valid), "90th percentile of each launch"),
            load_ms=_ms((launch.load_warm_ns for launch in valid), "load of each launch, file in the page cache"),
            load_cold_ms=_ms((launch.load_cold_ns for launch in valid), "load of each launch, file not in the page cache"),
            first_ms=_ms((launch.first_ns for launch in valid), "first inference of each launch"),
            inferences_per_sec=estimate([launch.inferences_per_sec for launch in valid], "throughput of each launch"),
            cold_start_ms=_ms(map(_cold_start_ns, valid), "cold load and first inference of each launch"),
            findings=look.at_run(self.launches), sustained=tuple(self.sustained), profile=self.profile, memory=self.memory,
            near_ms=_crossing(valid, "near"), round_trip_ms=_crossing(valid, "round_trip"), far_ms=_crossing(valid, "far"),
            link_ms=_crossing(valid, "link"), **self._together(),
        )  # fmt: skip

    def _positions(self) -> int:
        """In how many places of the order it was started."""
        return len({launch.position for launch in self.launches if INTERRUPTED not in launch.flags})

    def _not_narrow(self, finished: str) -> list[str]:
        """What to say of an interval that is not what `until` asked for."""
        if self._plan.until is None or not finished or until.reached(self._plan, self.launches):
            return []
        medians = until.medians_of(self.launches)
        width = until.half_width(medians)
        got = f"±{100 * width:.2g} %" if width is not None else f"no width, {MIN_LAUNCHES} launches are needed for one"
        why = "the most launches it was to have"
        if self._plan.budget_sec is not None and self._positions() < self._plan.launches:
            why = f"the budget of {self._plan.budget_sec:g} s"
        return [
            f"±{100 * self._plan.until:g} % was asked for and not reached within {why}: {got} after {len(medians)} launches"
        ]


def _ms(values: Iterable[float | None], what: str) -> Interval | None:
    return scaled(estimate(list(values), what), 1 / _NS_PER_MS)


def _crossing(launches: list[Launch], part: str) -> Interval | None:
    crossings = [launch.crossing for launch in launches if launch.crossing is not None]
    if not crossings:
        return None
    return _ms((getattr(crossing, f"{part}_median_ns") for crossing in crossings), f"median of each launch, {part}")


def _cold_start_ns(launch: Launch) -> float | None:
    if launch.load_cold_ns is None or launch.first_ns is None:
        return None
    return launch.load_cold_ns + launch.first_ns


def _machine(device: Device) -> tuple[object, ...]:
    cpu = device.facts.get("cpu")
    return device.name, device.facts.get("abi"), cpu.get("model") if isinstance(cpu, dict) else None


def _reasons(launches: list[Launch]) -> list[str]:
    """Why launches do not count, each reason once."""
    counted = Counter(reason for launch in launches for reason in launch.invalid_because if INTERRUPTED not in launch.flags)
    return [f"{count} of {len(launches)} launches: {reason}"[:4000] for reason, count in counted.items()]
