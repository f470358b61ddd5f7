"""`bench --tiers`: from what was named to finished runs over two devices. What `device_runner.benching` is for one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from device_runner import bare, benching, experiment, inventory
from device_runner.benching import Finished, Shapes
from device_runner.experiment import ExperimentFile, FarPart
from device_runner.tiers import shape
from device_runner.tiers.pair import Pair, paired
from device_runner.tiers.session import PairSession, open_pair
from edgedeploy.errors import UserError
from edgedeploy.interrupt import stopping_raises

if TYPE_CHECKING:
    from collections.abc import Callable

    from device_runner.experiment import Part
    from device_runner.results.store import Store
    from edgedeploy.progress import StatusLine
    from edgedeploy.record import Plan


@dataclass(frozen=True)
class Plans:
    """How both sides are set. Of the far one threads, cores, gates and preparation count: what is timed is the near one's."""

    near: Plan
    far: Plan


def bench(
    paths: Sequence[Path], pair: Pair, how: Plans, store: Store, seed: int, shapes: Shapes, progress: StatusLine,
    started: Callable[[str], None], with_accuracy: bool = False, *, wait: bool = False, identifier: str | None = None,
) -> Finished:  # fmt: skip
    """As `benching.bench`, over two devices: of a bundle that was cut the first stage runs near and the others far, a whole
    model is all far, and its input is sent."""
    refuse(how.near)
    found = benching.look(paths, shapes, progress, with_accuracy=with_accuracy)
    with on_pair(pair, how, None, progress, wait=wait) as session:
        workloads = [found.whole.get(path) or bare.workload(path, session.far, shapes, seed) for path in found.paths]
        one = benching.set_out(
            found, [(pair.near, how.near)], seed, shapes, with_accuracy=with_accuracy, identifier=identifier
        )  # fmt: skip
        written = one.model_copy(update={"parts": (one.parts[0].model_copy(update={"far": _far_part(pair, how.far)}),)})
        if store.has_experiment(written.id):
            raise UserError(f"{store}: experiment {written.id} is there already; go on with --resume")
        experiment.write(store, written)
        started(written.id)
        by_run = {entry.run: workload for entry, workload in zip(written.artifacts, workloads, strict=True)}
        with experiment.locked(store, written.id):
            return Finished(written.id, benching.run_part(store, written, written.parts[0], by_run, session, progress))


def resume(
    written: ExperimentFile, part: Part, store: Store, progress: StatusLine, *, devices: Path | None = None, wait: bool = False
) -> Finished:  # fmt: skip
    """Do the launches of an experiment over two devices that are missing. See `benching.resume`."""
    far = part.far
    assert far is not None, "a part over one device"
    tiers = {
        far.near_tier: replace(inventory.resolve(part.device, devices), bundle=part.bundle),
        far.tier: replace(inventory.resolve(far.device, devices), bundle=far.bundle),
    }
    pair = paired(tiers, shape=shape.parse(far.link) if far.link else None, direct=far.direct or None)
    plans = Plans(part.plan, far.plan)
    with on_pair(pair, plans, written.id, progress, wait=wait) as session, experiment.locked(store, written.id):
        workloads = benching.again(written, part, session.far)
        return Finished(written.id, benching.run_part(store, written, part, workloads, session, progress))


def refuse(how: Plan) -> None:
    """Raise UserError for a plan that cannot be over two devices."""
    if how.streams > 1:
        raise UserError("several streams at once are not measured over two devices; leave out --mode throughput")


@contextmanager
def on_pair(pair: Pair, how: Plans, going_on: str | None, progress: StatusLine, *, wait: bool) -> Iterator[PairSession]:
    """Both devices, for us alone and set as their plans want it; put back afterwards."""
    progress.now(f"connecting to {pair.name}")
    with (
        stopping_raises(),
        open_pair(pair, how.far, progress.now if wait else None) as session,
        benching.set_for(session, how.near, going_on, progress),
    ):
        yield session


def _far_part(pair: Pair, plan: Plan) -> FarPart:
    bundle = pair.far.bundle
    assert bundle != "app", "refused when it was paired"
    return FarPart(
        device=pair.far.name, near_tier=pair.near.tier, tier=pair.far.tier, plan=plan, bundle=bundle,
        link=str(pair.shape) if pair.shape else "", direct=pair.direct or "",
    )  # fmt: skip
