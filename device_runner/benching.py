"""`bench`: from what was named to finished runs. The command line and the examples call `bench` and `resume`.

Several devices at once are in `side_by_side`, which does with each of them what is done here with one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from device_runner import accuracy, artifacts, bare, experiment, inventory, model_fit, plan
from device_runner.campaign import Campaign
from device_runner.experiment import Entry, ExperimentFile, Part
from device_runner.instant import now
from device_runner.plans import in_turns
from device_runner.results.store import Store
from device_runner.session import open_session
from edgedeploy import bundle
from edgedeploy.errors import UserError
from edgedeploy.interrupt import stopping_raises

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from device_runner.inventory import Device
    from device_runner.passes import Pass
    from device_runner.place import Place
    from device_runner.session import Session
    from device_runner.workload import Workload
    from edgedeploy.progress import StatusLine
    from edgedeploy.record import Plan, RunRecord

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Finished:
    """An experiment all of whose runs are committed."""

    id: str
    records: list[RunRecord]


class StillRunning(UserError):
    """A launch of another experiment, whose host went away, still runs on the device."""


@contextmanager
def on_device(
    device: Device, how: Plan, going_on: str | None, progress: StatusLine, *, wait: bool, wanted: Iterable[Path] = (),
    ready: Callable[[Session], None] = lambda session: None,
) -> Iterator[Session]:  # fmt: skip
    """The device, for us alone and set as the plan wants it; put back afterwards.

    going_on: the experiment whose own launches may still run there. ready: told once the plan is known to mean something
    there, and before anything is set. wanted: bundles and model files that are to run there; for one that cannot, UserError is
    raised before anything is put on the device.
    """
    models = [model for path in wanted if path.exists() for model in model_fit.models(path)]
    progress.now(f"connecting to {device.name}")
    with (
        stopping_raises(),
        open_session(device, progress.now if wait else None, models) as session,
        set_for(session, how, going_on, progress, lambda: ready(session)),
    ):
        yield session


@contextmanager
def set_for(
    place: Place, how: Plan, going_on: str | None, progress: StatusLine, ready: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Inside, what is open is set as the plan wants it. See `on_device`."""
    busy = place.running()
    if busy is not None and (going_on is None or not busy.startswith(f"{going_on}.")):
        owner = busy.rpartition(".")[0]
        raise StillRunning(
            f"a launch of experiment {owner}, whose bench was killed, still runs on {place.name}; wait until it has ended, "
            f"or go on with it: edgedeploy bench --resume {owner}"
        )
    place.gate(how)
    ready()
    with place.prepared(how, progress.line):
        yield


def bench(
    paths: Sequence[Path], device: str | Device, how: Plan, store: Store, seed: int, shapes: Shapes, progress: StatusLine,
    started: Callable[[str], None], with_accuracy: bool = False, *, passes: Sequence[Pass] = (), wait: bool = False,
    identifier: str | None = None,
) -> Finished:  # fmt: skip
    """Measure everything named by `paths` (see `artifacts.find`) on a device, interleaved.

    started: is told the experiment's id once it is on disk and can be resumed. Raises UserError before anything is measured;
    an artifact that fails on the device is in the records instead, not valid, with its reason. with_accuracy: also over the
    labelled samples of each bundle, apart from the timing. passes: what is measured in launches of its own. wait: for a device
    that another process uses. identifier: of the experiment, where it was written down beforehand; one that is on disk already
    is refused.
    """
    target = inventory.resolve(device) if isinstance(device, str) else device
    found = look(paths, shapes, progress, with_accuracy=with_accuracy)
    with on_device(target, how, None, progress, wait=wait, wanted=found.paths) as session:
        workloads = [found.whole.get(path) or bare.workload(path, session, shapes, seed) for path in found.paths]
        written = set_out(
            found, [(target, how)], seed, shapes, with_accuracy=with_accuracy, passes=passes, identifier=identifier
        )  # fmt: skip
        if store.has_experiment(written.id):
            raise UserError(f"{store}: experiment {written.id} is there already; go on with --resume")
        experiment.write(store, written)
        started(written.id)
        by_run = {entry.run: workload for entry, workload in zip(written.artifacts, workloads, strict=True)}
        with experiment.locked(store, written.id):
            return Finished(written.id, run_part(store, written, written.parts[0], by_run, session, progress))


def resume(
    identifier: str, store: Store, progress: StatusLine, started: Callable[[str], None], *, devices: Path | None = None,
    wait: bool = False,
) -> Finished:  # fmt: skip
    """Do the launches of an experiment that are missing. One that is complete is only read.

    devices: the inventory's file, where one was named. Raises UserError when an artifact is not what it was, or the device is
    another one. An experiment on several devices is gone on with by `side_by_side.resume`.
    """
    written = experiment.read(store, identifier)
    started(identifier)
    done = set(store.runs_of(identifier))
    if done == set(written.runs):
        return Finished(identifier, [store.read(run) for run in written.runs])
    (part,) = written.parts
    if part.far is not None:
        from device_runner.tiers import benching as over_two

        return over_two.resume(written, part, store, progress, devices=devices, wait=wait)
    device = replace(inventory.resolve(part.device, devices), bundle=part.bundle)
    wanted = [Path(entry.path) for entry in written.entries(part)]
    with (
        on_device(device, part.plan, identifier, progress, wait=wait, wanted=wanted) as session,
        experiment.locked(store, identifier),
    ):
        return Finished(identifier, run_part(store, written, part, again(written, part, session), session, progress))


@dataclass(frozen=True)
class Found:
    """What is to be measured: bundles and bare model files in their order; `whole` has the bundles, read and checked."""

    paths: list[Path]
    whole: dict[Path, Workload]


def look(paths: Sequence[Path], shapes: Shapes, progress: StatusLine, *, with_accuracy: bool) -> Found:
    """Read and check every bundle before a device is touched: a broken one is found now, not after an hour.

    Raises UserError for one that is broken, and for what does not go together.
    """
    found = artifacts.find(paths)
    progress.now("checking the bundles")
    whole = {path: _checked(path) for path in found if path.is_dir()}
    if shapes and len(whole) == len(found):
        raise UserError("--shape is for bare model files; a bundle has its shapes in its signature")
    if with_accuracy:
        for path in whole:
            accuracy.evaluation(bundle.read(path))
    return Found(found, whole)


def set_out(
    found: Found, wanted: Sequence[tuple[Device, Plan]], seed: int, shapes: Shapes, *, with_accuracy: bool,
    passes: Sequence[Pass] = (), identifier: str | None = None,
) -> ExperimentFile:  # fmt: skip
    """A new experiment: everything found, on each device by its plan. It is not written yet."""
    identifier = identifier or experiment.new_id()
    entries: list[Entry] = []
    parts = []
    for device, how in wanted:
        in_turns.check(how, len(found.paths), device.bundle)
        these = [
            Entry(
                run=experiment.run_id(identifier, len(entries) + place), path=str(path.resolve()),
                kind="bundle" if path in found.whole else "as-given",
                digest=found.whole[path].artifact.digest if path in found.whole else bare.digest(path),
                shapes={} if path in found.whole else dict(shapes),
            )
            for place, path in enumerate(found.paths)
        ]  # fmt: skip
        entries += these
        order = experiment.plan_order(tuple(these), how.launches, seed)
        parts.append(Part(device=device.name, bundle=device.bundle, plan=how, order=order))
    return ExperimentFile(
        id=identifier, created=now(), seed=seed, accuracy=with_accuracy, passes=tuple(passes), artifacts=tuple(entries),
        parts=tuple(parts),
    )  # fmt: skip


def again(written: ExperimentFile, part: Part, session: Session) -> dict[str, Workload]:
    """The workloads of a part that is on disk, by run. Raises UserError for an artifact that is not what it was."""
    return {entry.run: _again(entry, session, written.seed) for entry in written.entries(part)}


def run_part(
    store: Store, written: ExperimentFile, part: Part, workloads: Mapping[str, Workload], session: Place,
    progress: StatusLine,
) -> list[RunRecord]:  # fmt: skip
    """Do what is missing of a part and commit its runs. Whoever calls it has locked the experiment."""
    asked = [entry for entry in written.entries(part) if written.accuracy and entry.kind == "bundle"]
    evaluations = {entry.run: accuracy.evaluation(bundle.read(Path(entry.path))) for entry in asked}
    try:
        campaign = Campaign(store, written, part, workloads, session, progress)
        campaign.evaluate(evaluations)
        return campaign.run()
    finally:
        progress.done()


def _checked(path: Path) -> Workload:
    read = bundle.read(path)
    bundle.check_files(read)
    return plan.from_bundle(read)


def _again(entry: Entry, session: Session, seed: int) -> Workload:
    path = Path(entry.path)
    if not path.exists():
        raise UserError(f"{path}: is gone; the experiment cannot go on without it")
    workload = _checked(path) if entry.kind == "bundle" else bare.workload(path, session, entry.shapes, seed)
    if workload.artifact.digest != entry.digest:
        raise UserError(f"{path}: is not what it was when the experiment was started; start a new one")
    return workload
