"""What each stage of the candidates takes on a device by itself: from the runs there are, measured now where there is none.

A stage is a model file as given, known in the store by its digest, so a stage that two candidates share is measured once, and
a run of `edgedeploy bench stage.onnx` counts too. Measured here, it is fed with what the stage is fed in the whole, or made-up
values of the same shape, through the adapters of the cut, whose time is in the launch.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from device_runner import benching, experiment, stages
from device_runner.results import index
from device_runner.tiers.advice import Work
from device_runner.workload import Feed, Part, Product, Wire, Workload
from edgedeploy.errors import UserError
from edgedeploy.record import ArtifactRef

if TYPE_CHECKING:
    import numpy.typing as npt

    from device_runner.inventory import Device
    from device_runner.results.store import Store
    from device_runner.tiers.candidates import Candidate
    from edgedeploy.bundle import Bundle
    from edgedeploy.progress import StatusLine
    from edgedeploy.record import Plan, RunRecord
    from edgedeploy.signature import TensorSpec


def works(
    candidates: Sequence[Candidate], device: Device, how: Plan, store: Store, progress: StatusLine,
    started: Callable[[str], None], *, far: bool, wait: bool = False,
) -> dict[int, Work]:  # fmt: skip
    """What each candidate's part takes on `device`, by the candidate's place; only those that have a part there.

    far: the device is the far one. Raises UserError for a stage that cannot be measured there.
    """
    parts = {place: _stages_there(candidate, far=far) for place, candidate in enumerate(candidates)}
    wanted = {
        candidate.bundle.manifest.stages[number].sha256: (candidate.bundle, number)
        for candidate, numbers in zip(candidates, parts.values(), strict=True) for number in numbers
    }  # fmt: skip
    found = _from_store(set(wanted), device, how, store)
    missing = [stage for digest, stage in wanted.items() if digest not in found]
    if missing:
        found |= _measured(missing, device, how, store, progress, started, wait=wait)
    made = {}
    for place, numbers in parts.items():
        if numbers:
            runs = [found[candidates[place].bundle.manifest.stages[number].sha256] for number in numbers]
            made[place] = Work(sum(_taken_ms(run, candidates[place], far=far) for run in runs), tuple(run.id for run in runs))
    return made


def _stages_there(candidate: Candidate, *, far: bool) -> list[int]:
    numbers = range(len(candidate.bundle.manifest.stages))
    return list(numbers[candidate.split :] if far else numbers[: candidate.split])


def _taken_ms(run: RunRecord, candidate: Candidate, *, far: bool) -> float:
    """The median with the adapters of the cut: what the near device makes of what it sends, the far one of what it gets."""
    assert run.median_ms is not None
    if not candidate.is_cut:
        return run.median_ms.estimate
    spent = [launch.input_adapters_ns if far else launch.output_adapters_ns for launch in run.launches if launch.valid]
    known = [each for each in spent if each is not None]
    return run.median_ms.estimate + (statistics.median(known) / 1e6 if known else 0.0)


def _from_store(digests: set[str], device: Device, how: Plan, store: Store) -> dict[str, RunRecord]:
    """The newest valid run of each stage on that device with as many threads on the same CPUs."""
    found: dict[str, RunRecord] = {}
    entries, _ = index.entries(store)
    for entry in reversed(entries):
        if entry.valid and entry.device == device.name and entry.threads == how.threads and entry.operator == "as-given":
            record = store.read(entry.id)
            digest = record.artifact.digest
            alike = record.plan.affinity == how.affinity and record.plan.streams == 1
            if (
                alike
                and len(record.devices) == 1
                and record.median_ms is not None
                and digest in digests
                and digest not in found
            ):
                found[digest] = record
                if len(found) == len(digests):
                    break
    return found


def _measured(
    wanted: Sequence[tuple[Bundle, int]], device: Device, how: Plan, store: Store, progress: StatusLine,
    started: Callable[[str], None], *, wait: bool,
) -> dict[str, RunRecord]:  # fmt: skip
    workloads = [stage_workload(bundle, number) for bundle, number in wanted]
    paths = [workload.parts[0].model for workload in workloads]
    with benching.on_device(device, how, None, progress, wait=wait) as session:
        written = benching.set_out(benching.Found(paths, {}), [(device, how)], 0, {}, with_accuracy=False)
        experiment.write(store, written)
        started(written.id)
        by_run = {entry.run: workload for entry, workload in zip(written.artifacts, workloads, strict=True)}
        with experiment.locked(store, written.id):
            records = benching.run_part(store, written, written.parts[0], by_run, session, progress)
    for record in records:
        if not record.valid or record.median_ms is None:
            raise UserError(
                f"{record.artifact.path} could not be measured on {device.name}: {'; '.join(record.invalid_because)}"
            )
    return {record.artifact.digest: record for record in records}


def stage_workload(bundle: Bundle, number: int) -> Workload:
    """One stage alone: its inputs and outputs from and to outside, in place of the stages around it."""
    part, manifest = stages.parts(bundle)[number], bundle.manifest
    inputs = tuple(_fed(end) for end in part.inputs)
    outputs = tuple(Product(product.tensor, product.adapters) for product in part.outputs)
    suffix = Path(part.name).suffix
    # as `bare` has it, so that what goes through the store by subject never takes a stage for a model
    artifact = ArtifactRef(
        digest=part.sha256, kind="as-given", path=str(part.model)[-500:], subject=part.model.name[-500:], operator="as-given",
        runtime=manifest.runtime, backend=manifest.backend, precision="as-given", target_isa=manifest.target_isa,
        model_bytes=manifest.stages[number].bytes,
        warnings=(f"stage {number} of {manifest.subject} {manifest.recipe.asked}, by itself"[:4000],),
    )  # fmt: skip
    return Workload(artifact, (Part(part.model, part.sha256, f"model{suffix}", inputs, outputs),))


def _fed(end: Feed | Wire) -> Feed:
    """One case: the first of the golden ones, or made-up values in place of an earlier stage's."""
    data = end.data[:1] if isinstance(end, Feed) else _made_up(end.tensor)
    return Feed(end.tensor, data, end.adapters)


def _made_up(spec: TensorSpec) -> npt.NDArray[np.generic]:
    rng = np.random.default_rng(0)
    if spec.dtype.startswith("float"):
        return rng.standard_normal((1, spec.elements)).astype(spec.dtype)
    if spec.dtype in ("int8", "uint8"):
        limits = np.iinfo(spec.dtype)
        return rng.integers(limits.min, limits.max, (1, spec.elements), dtype=spec.dtype, endpoint=True)
    return rng.integers(0, 2, (1, spec.elements)).astype(spec.dtype)
