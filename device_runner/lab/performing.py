"""A job done: its experiment is begun on the device, or gone on with, as `bench` does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_runner import benching, experiment, inventory
from device_runner.device_lock import DeviceInUse
from device_runner.device_plan import for_device
from device_runner.lab.plan_file import How
from device_runner.lab.queue import Lease, Outcome, Trouble
from device_runner.launches import LASTING
from device_runner.results.opening import open_store
from device_runner.transports.base import NotAuthorised
from edgedeploy.errors import BundleError, TransientError, UserError

if TYPE_CHECKING:
    from device_runner.results.store import Store
    from edgedeploy.progress import StatusLine
    from edgedeploy.record import Launch, RunRecord


class Impossible(UserError):
    """What the job is about is not there, or not whole: no device has to do with that."""


def perform(lease: Lease, progress: StatusLine, started: Callable[[str], None]) -> tuple[list[str], list[Outcome]]:
    """The committed runs, and how each artifact did. Raises what `benching.bench` does; see `trouble_of`.

    What is on disk of the job's experiment is gone on with; what is complete is only read. So is what another device completed
    whose word did not reach the queue (its head was away): nothing is measured twice, and nothing is learnt of this device.
    """
    work = lease.work
    file = Path(work["devices"]) if work["devices"] else None
    store = open_store(work["out"])
    measured = _completed(store, lease.begun)
    if measured:
        return measured, []
    for path in map(Path, work["paths"]):
        if not path.exists():
            raise Impossible(f"{path}: is gone")
    if store.has_experiment(lease.experiment):
        finished = benching.resume(lease.experiment, store, progress, started, devices=file)
    else:
        finished = _begin(lease, work, file, store, progress, started)
    return [record.id for record in finished.records], [_outcome(record) for record in finished.records]


def _completed(store: Store, begun: str) -> list[str]:
    """The runs of an experiment that is committed and valid, all of it; else none."""
    if not begun or not store.has_experiment(begun):
        return []
    runs = list(experiment.read(store, begun).runs)
    return runs if all(store.is_finished(run) and store.read(run).valid for run in runs) else []


def _begin(
    lease: Lease, work: Any, file: Path | None, store: Store, progress: StatusLine, started: Callable[[str], None]
) -> benching.Finished:  # fmt: skip
    device = inventory.resolve(lease.device, file)
    how = How.model_validate(work["how"])
    plan = for_device(
        how.plan(), device, threads=how.threads, affinity=how.cores,
        gates=how.limits.model_dump(exclude_unset=True), preparation=how.prepare.model_dump(exclude_unset=True),
    )  # fmt: skip
    shapes = {name: tuple(shape) for name, shape in work["shapes"].items()}
    # the name that the lab has for it, so that the experiment is found again by it
    return benching.bench(
        [Path(path) for path in work["paths"]], replace(device, name=lease.device), plan, store, work["seed"], shapes, progress,
        started, work["accuracy"], identifier=lease.experiment,
    )  # fmt: skip


def trouble_of(error: Exception) -> Trouble:
    """Whose trouble it is that the job could not be done, as far as that can be said at once."""
    if isinstance(error, DeviceInUse | benching.StillRunning):
        return "busy"
    if isinstance(error, TransientError | NotAuthorised):
        return "device"
    # anything else (no runner that fits, a runner that dies without a word, a plan that the device cannot keep) may be the
    # device's doing or the job's: the other combinations tell
    return "job" if isinstance(error, Impossible | BundleError) else "unclear"


def _outcome(record: RunRecord) -> Outcome:
    if record.valid:
        return Outcome(record.artifact.digest, True)
    reasons = "; ".join(record.invalid_because)
    return Outcome(record.artifact.digest, False, _trouble(record.launches), f"{record.artifact.label}: {reasons}")


def _trouble(launches: tuple[Launch, ...]) -> Trouble:
    """Of a run that is not valid: the device went away or stayed hot, or its launches failed, which may be either's doing."""
    codes = {str((launch.error or {}).get("code", "")) for launch in launches if not launch.valid}
    return "device" if codes and codes <= {"transient", "gate"} and not codes & LASTING else "unclear"
