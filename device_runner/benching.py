"""`bench`: from what was named to finished runs. The command line and the examples call `bench` and `resume`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from device_runner import accuracy, artifacts, bare, experiment, inventory, plan
from device_runner.campaign import Campaign
from device_runner.experiment import Entry, ExperimentFile
from device_runner.instant import now
from device_runner.results.store import Store
from device_runner.session import open_session
from edgedeploy import bundle
from edgedeploy.errors import UserError
from edgedeploy.interrupt import stopping_raises

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from device_runner.inventory import Device
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
def _on_device(
    device: Device, how: Plan, going_on: str | None, progress: StatusLine, *, wait: bool
) -> Iterator[Session]:  # fmt: skip
    """The device, for us alone and set as the plan wants it; put back afterwards.

    going_on: the experiment whose own launches may still run there.
    """
    name = device.name
    progress.now(f"connecting to {name}")
    with stopping_raises(), open_session(device, progress.now if wait else None) as session:
        busy = session.running()
        if busy is not None and (going_on is None or not busy.startswith(f"{going_on}.")):
            owner = busy.rpartition(".")[0]
            raise StillRunning(
                f"a launch of experiment {owner}, whose bench was killed, still runs on {name}; wait until it has ended, "
                f"or go on with it: edgedeploy bench --resume {owner}"
            )
        session.gate(how)
        with session.prepared(how, progress.line):
            yield session


def bench(
    paths: Sequence[Path], device: str | Device, how: Plan, store: Store, seed: int, shapes: Shapes, progress: StatusLine,
    started: Callable[[str], None], with_accuracy: bool = False, *, wait: bool = False, identifier: str | None = None,
) -> Finished:  # fmt: skip
    """Measure everything named by `paths` (see `artifacts.find`), interleaved.

    started: is told the experiment's id once it is on disk and can be resumed. Raises UserError before anything is measured;
    an artifact that fails on the device is in the records instead, not valid, with its reason. with_accuracy: also over the
    labelled samples of each bundle, apart from the timing. wait: for a device that another process uses. identifier: of the
    experiment, where it was written down beforehand; one that is on disk already is refused.
    """
    target = inventory.resolve(device) if isinstance(device, str) else device
    found = artifacts.find(paths)
    # every bundle is read and checked before the device is touched: a broken one is found now, not after an hour
    progress.now("checking the bundles")
    whole = {path: _checked(path) for path in found if path.is_dir()}
    if shapes and len(whole) == len(found):
        raise UserError("--shape is for bare model files; a bundle has its shapes in its signature")
    with _on_device(target, how, None, progress, wait=wait) as session:
        if with_accuracy:
            for path in whole:
                accuracy.evaluation(bundle.read(path))
        workloads = [whole.get(path) or bare.workload(path, session, shapes, seed) for path in found]
        identifier = identifier or experiment.new_id()
        if store.experiment_file(identifier).exists():
            raise UserError(f"{store.root}: experiment {identifier} is there already; go on with --resume")
        entries = tuple(
            Entry(
                run=experiment.run_id(identifier, index), path=str(path.resolve()),
                kind="bundle" if path in whole else "as-given",
                digest=workload.artifact.digest, shapes={} if path in whole else dict(shapes),
            )
            for index, (path, workload) in enumerate(zip(found, workloads, strict=True))
        )  # fmt: skip
        written = ExperimentFile(
            id=identifier, created=now(), seed=seed, device=target.name, bundle=target.bundle,
            plan=how, accuracy=with_accuracy, artifacts=entries,
            order=experiment.plan_order(entries, how.launches, seed),
        )  # fmt: skip
        experiment.write(store, written)
        started(identifier)
        by_run = {entry.run: workload for entry, workload in zip(entries, workloads, strict=True)}
        return _run(store, written, by_run, session, progress)


def resume(
    identifier: str, store: Store, progress: StatusLine, started: Callable[[str], None], *, devices: Path | None = None,
    wait: bool = False,
) -> Finished:  # fmt: skip
    """Do the launches of an experiment that are missing. One that is complete is only read.

    devices: the inventory's file, where one was named. Raises UserError when an artifact is not what it was, or the device is
    another one.
    """
    written = experiment.read(store, identifier)
    started(identifier)
    done = set(store.runs_of(identifier))
    if done == set(written.runs):
        return Finished(identifier, [store.read(run) for run in written.runs])
    device = replace(inventory.resolve(written.device, devices), bundle=written.bundle)
    with _on_device(device, written.plan, identifier, progress, wait=wait) as session:
        workloads = {entry.run: _again(entry, session, written.seed) for entry in written.artifacts}
        return _run(store, written, workloads, session, progress)


def _run(
    store: Store, written: ExperimentFile, workloads: Mapping[str, Workload], session: Session, progress: StatusLine
) -> Finished:
    asked = [entry for entry in written.artifacts if written.accuracy and entry.kind == "bundle"]
    evaluations = {entry.run: accuracy.evaluation(bundle.read(Path(entry.path))) for entry in asked}
    with experiment.locked(store, written.id):
        try:
            campaign = Campaign(store, written, workloads, session, progress)
            campaign.evaluate(evaluations)
            return Finished(written.id, campaign.run())
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
