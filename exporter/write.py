"""A proven artifact written down: the stages' files, the golden cases, the manifest."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from datetime import UTC, datetime
from pathlib import Path

from edgedeploy import __version__, bundle, isa, metrics
from edgedeploy.artifact import Conformance, Lineage, Manifest, Recipe, Stage
from exporter import claims, contents, crossing
from exporter.given.file import GivenFile
from exporter.made import Made, Reference
from exporter.operators.base import Draft
from exporter.options import Options
from exporter.prepare import FloatModel, Prepared
from exporter.prove import Proof
from exporter.runtimes.base import Runtime


def toolchain(runtime: Runtime, given: GivenFile | None = None) -> dict[str, str]:
    """Versions of what made the artifact."""
    versions = {"edgedeploy": __version__, "python": platform.python_version()}
    for name in ("torch", *runtime.packages):
        versions[name] = importlib.metadata.version(name)
    return {**versions, **(given.tools if given is not None else {})}


def write(
    directory: Path, prepared: Prepared, made: FloatModel, draft: Draft, runtime: Runtime, options: Options,
    lowered: Made, proof: Proof, request: str, reference: Reference | None,
) -> str:  # fmt: skip
    """Fill the bundle's directory and seal it; returns its digest."""
    subject = prepared.subject
    stages = []
    for index, each in enumerate(lowered.stages):
        file = f"model{runtime.suffix}" if len(lowered.stages) == 1 else f"stage{index}{runtime.suffix}"
        shutil.copyfile(each.file, directory / file)
        stages.append(
            Stage(
                file=file, sha256=bundle.file_sha256(directory / file), bytes=(directory / file).stat().st_size,
                inputs=each.inputs, outputs=each.outputs, coverage=each.coverage,
            )
        )  # fmt: skip
    contents.write_golden(directory, prepared, made.evaluation, proof.outputs, proof.golden)
    contents.write_eval(directory, prepared, proof.outputs, proof.right)
    precision = draft.precision
    if subject.given is not None and subject.given.small and precision == "fp32":
        precision = "as-given"
    atol, rtol = claims.tolerance(precision, {name: array[: proof.golden] for name, array in proof.outputs.items()})
    versions = toolchain(runtime, subject.given)
    other = made.weights.digest != prepared.original.weights.digest
    training = {"training": made.weights.recipe} if made.weights.recipe else {}
    if subject.given is not None:
        training = {"given": {"form": subject.given.form, "changes": list(subject.given.changes)}}
    right = proof.right
    compared = reference is not None and reference.right is not None and right is not None
    manifest = Manifest(
        subject=subject.name, signature=subject.signature,
        recipe=Recipe(
            asked=draft.asked, transforms=draft.transforms, precision=precision,
            cut=lowered.division.name if lowered.division is not None else None,
            parameters={**lowered.parameters, **training},
        ),
        runtime=runtime.name, backend=runtime.backend, target_isa=options.target, stages=tuple(stages),
        parameters=made.parameters, macs=made.macs,
        cut_tensors=crossing.tensors(lowered.stages, lowered.pieces),
        lineage=Lineage(
            teacher=prepared.original.weights.digest, teacher_origin=prepared.original.weights.origin,
            student=made.weights.digest if other else None, student_origin=made.weights.origin if other else "",
        ),
        sets=prepared.set_digests, request=request, toolchain=versions, parity=proof.parity,
        accuracy=metrics.accuracy(right) if right is not None else None,
        drop=metrics.paired_drop(reference.right, right, reference.bundle.digest)
        if compared and reference is not None and reference.right is not None and right is not None else None,
        conformance=Conformance(
            atol=atol, rtol=rtol, runtime_version=versions[runtime.packages[0]], isa=isa.host_target()
        ),
        claims=proof.claims, warnings=proof.warnings, files=bundle.list_files(directory, {stage.file for stage in stages}),
        created=datetime.now(UTC).isoformat(timespec="seconds"), timings=proof.timings,
    )  # fmt: skip
    return bundle.seal(directory, manifest)
