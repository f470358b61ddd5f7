"""Two devices, open: a launch is a far side that serves, a way to it, and a near side that is driven and timed as any launch.

What a campaign does with one device it does with this as well; see `place.Place`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from device_runner import launch_directory
from device_runner.inventory.address import identity
from device_runner.session import PULL_SEC, Staged, open_session
from device_runner.tiers import crossings, link
from device_runner.tiers.far import TOKEN, FarSide
from device_runner.tiers.path import Path, Route
from device_runner.tiers.splitting import default_split, split, with_far
from edgedeploy.errors import EdgedeployError, TransientError, UserError
from edgedeploy.record import LinkLook, PathRecord

if TYPE_CHECKING:
    from device_runner.runner import Status
    from device_runner.session import Measured, Session
    from device_runner.tiers.pair import Pair
    from device_runner.workload import Workload
    from edgedeploy.record import Context, Device, Plan

#: the far side may still load, and then serves as long as the near side measures
_LOAD_SEC = 300.0


@dataclass(frozen=True)
class PairStaged(Staged):
    """What is in the stores of both: `links` of the near device."""

    far: Staged
    workload: Workload


@dataclass
class _Underway:
    """The far side of the launch that runs, and the way to it. None where it was found running by a host that came back."""

    far: FarSide
    path: Path | None = None
    before: LinkLook | None = None


class PairSession:
    """Use `open_pair`. `far_plan`: threads, cores and gates of the far device; everything else is the near one's plan."""

    def __init__(self, pair: Pair, near: Session, far: Session, far_plan: Plan) -> None:
        self.pair, self.near, self.far, self._far_plan = pair, near, far, far_plan
        self.route = Route(near.transport, far.transport, shape=pair.shape, direct_host=pair.direct)
        self._underway: dict[str, _Underway] = {}
        self._path: Path | None = None

    @property
    def name(self) -> str:
        """What a message calls the two."""
        return self.pair.name

    @property
    def devices(self) -> tuple[Device, ...]:
        """Near and far, in their roles."""
        affinity = list(self._far_plan.affinity) if self._far_plan.affinity is not None else None
        ran = {"threads": self._far_plan.threads, "affinity": affinity}
        near = self.near.record.model_copy(update={"role": "near", "tier": self.pair.near.tier})
        far = self.far.record
        return near, far.model_copy(update={"role": "far", "tier": self.pair.far.tier, "facts": far.facts | ran})

    @property
    def versions(self) -> Mapping[str, dict[str, Any]]:
        """What each runner says of itself."""
        return {"": self.near.hello, " on the far device": self.far.hello}

    def together(self, workload: Workload) -> Mapping[str, Any]:
        """What a run's record says of the two together. The way is known once one was opened."""
        path = self._path
        said = PathRecord(kind=path.kind, hops=path.hops, shaped=path.shaped) if path is not None else None
        return {"split": default_split(workload), "path": said}

    def gate(self, plan: Plan) -> None:
        """Raise UserError for a plan whose numbers would mean nothing on one of the devices."""
        self.near.gate(plan)
        self.far.gate(self._far_plan)

    @contextlib.contextmanager
    def prepared(self, plan: Plan, say: Callable[[str], None]) -> Iterator[None]:
        """Inside, both devices are set as their plans want it; both are put back."""
        with self.near.prepared(plan, say):
            if identity(self.pair.near.target) == identity(self.pair.far.target):
                yield
            else:
                with self.far.prepared(self._far_plan, say):
                    yield

    def running(self) -> str | None:
        """A run that has a launch running on either device, left by a host that went away."""
        return self.near.running() or (self.far.running() if self.far is not self.near else None)

    def renew(self) -> None:
        """Put back what a restart of either device has taken."""
        self.near.renew()
        if self.far is not self.near:
            self.far.renew()

    def wait_for_gates(self, plan: Plan, say: Callable[[str], None]) -> str:
        """Wait until a launch may start on both; "" when it may."""
        return self.near.wait_for_gates(plan, say) or self.far.wait_for_gates(self._far_plan, say)

    def context(self) -> Context:
        """What the near device is doing; the far one's is with its side of each launch."""
        return self.near.context()

    def stage(self, workload: Workload) -> PairStaged:
        """Push to each device the stages that run there, and the inputs to the near one."""
        at = default_split(workload)
        near = self.near.stage_parts(workload, workload.parts[:at], workload.feeds)
        return PairStaged(near.links, self.far.stage_parts(workload, workload.parts[at:], ()), workload)

    def start_together(self, wanted: Sequence[tuple[str, Staged, dict[str, Any]]]) -> None:
        """Raises UserError: what goes over a link waits for it, and is in no turn."""
        raise UserError("launches over two devices cannot take turns; leave out --in-turns")

    def start(self, directory: str, staged: Staged, document: dict[str, Any]) -> None:
        """Start the far side, look at the link, and start the near side.

        Raises RunnerRefused for a plan that either refuses, Evicted when what was staged is no longer there.
        """
        assert isinstance(staged, PairStaged)
        underway = _Underway(FarSide(self.far, _far_directory(directory)))
        try:
            self._start(directory, staged, document, underway)
        except BaseException:
            # nobody will collect it; a far side that is left would keep the next one out
            with contextlib.suppress(EdgedeployError):
                underway.far.end()
            raise
        self._underway[directory] = underway

    def _start(self, directory: str, staged: PairStaged, document: dict[str, Any], underway: _Underway) -> None:
        far_side = underway.far
        limits = {
            "threads": self._far_plan.threads,
            "affinity": list(self._far_plan.affinity) if self._far_plan.affinity is not None else None,
            "max_seconds": document["max_seconds"] + 2 * _LOAD_SEC,
        }
        at = default_split(staged.workload)
        near_plan, far_plan = split(document, staged.workload, at, limits)
        far_side.start(staged.far, far_plan, bind=self.pair.bind, load_sec=_LOAD_SEC)
        underway.path = self._path = self.route.open(far_side.port)
        fields = far_side.fields(underway.path)
        self.near.write(directory, {TOKEN: f"{far_side.token}\n"})
        underway.before = link.look(self.near, directory, fields)
        self.near.start(directory, Staged(staged.links), with_far(near_plan, fields))

    def left_behind(self, directory: str) -> bool:
        """Whether the near side was started there by a host that then went away. What is left of half a launch is removed."""
        found = self.near.left_behind(directory)
        far_directory = _far_directory(directory)
        if found:
            self._underway[directory] = _Underway(FarSide(self.far, far_directory))
        elif self.far.left_behind(far_directory):
            self.far.end(far_directory)
        return found

    def wait(self, directory: str, plan: Plan, watch: Callable[[Status], None], look_sec: float | None = None) -> bool:
        """Wait until the near side has ended; see `session.Session.wait`."""
        return self.near.wait(directory, plan, watch, look_sec)

    def collect(self, directory: str, workload: Workload) -> Measured:
        """Fetch what the near side left, look at the link again, and end the far side."""
        measured = self.near.collect(directory, workload)
        counts = len(measured.samples.warmup), len(measured.samples.steady)
        parts = self._crossings(directory, counts) if measured.events else None
        underway = self._underway.pop(directory, None)
        if underway is None:
            return replace(measured, crossings=parts)
        after = None
        # of a link that is gone the launch tells itself
        if underway.path is not None and measured.event("error").get("code") != "link_lost":
            with contextlib.suppress(EdgedeployError):
                after = link.look(self.near, directory, underway.far.fields(underway.path))
        far, events = underway.far.end()
        self.route.close()
        return replace(
            measured, crossings=parts, entry={"far": far, "link_before": underway.before, "link_after": after},
            logs={"far.events.jsonl": events},
        )  # fmt: skip

    def _crossings(self, directory: str, counts: tuple[int, int]) -> Any:
        if not sum(counts):
            return None
        with TemporaryDirectory(prefix="edgedeploy-") as scratch:
            most = {crossings.NAME: crossings.MOST_BYTES}
            found = launch_directory.fetch(self.near.transport, directory, most, FilePath(scratch), PULL_SEC)
            return crossings.read(found[crossings.NAME], counts)[1] if found else None

    def text(self, path: str, most_bytes: int) -> str | None:
        """A text file of the near side."""
        return self.near.text(path, most_bytes)

    def cancel(self, directory: str) -> None:
        """End the near side; the far one is ended with what is collected, or now where nothing will be."""
        self.near.cancel(directory)

    def end(self, directory: str) -> None:
        """End whatever runs in `directory` on both and remove it; what cannot be reached is left alone."""
        self._underway.pop(directory, None)
        self.near.end(directory)
        self.far.end(_far_directory(directory))
        self.route.close()

    def discard(self, path: str) -> None:
        """Remove a launch's directory, or a run's, from both."""
        underway = self._underway.pop(path, None)
        if underway is not None:
            underway.far.end()
        self.near.discard(path)
        if self.far is not self.near:
            with contextlib.suppress(TransientError):
                self.far.discard(path)

    def close(self) -> None:
        """End far sides that are still there, and take the way back."""
        for underway in self._underway.values():
            with contextlib.suppress(EdgedeployError):
                underway.far.end()
        self._underway.clear()
        self.route.close()


def _far_directory(directory: str) -> str:
    """Beside the near one's, so that where one device is both they are two."""
    return f"{directory}-far"


@contextlib.contextmanager
def open_pair(pair: Pair, far_plan: Plan, waiting: Callable[[str], None] | None = None) -> Iterator[PairSession]:
    """Both devices, for us alone, with the runner installed. One device may be both, and so may two shares of one.

    waiting: given, wait for a device that another process uses, and tell this what for. Raises DeviceInUse for one that is in
    use, when not waiting; TransientError when one cannot be reached.
    """
    with contextlib.ExitStack() as stack:
        sessions: list[Session] = []
        # in an order that is everybody's, so that two benches with the same two devices never wait for each other
        for device in sorted((pair.near, pair.far), key=lambda each: identity(each.target)):
            if device.target in [other.device.target for other in sessions]:
                continue
            # two shares of one machine are two places on it, and its lock is one
            locks = identity(device.target) not in [identity(other.device.target) for other in sessions]
            sessions.append(stack.enter_context(open_session(device, waiting, locks=locks)))
        near, far = (
            next(session for session in sessions if session.device.target == device.target) for device in (pair.near, pair.far)
        )
        session = PairSession(pair, near, far, far_plan)
        stack.callback(session.close)
        yield session
