"""Subjects x operators x runtimes -> bundles, each whole and proven before the next is begun; what is there already is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Container, Sequence
from pathlib import Path

import numpy as np

from edgedeploy import bundle
from edgedeploy.errors import EdgedeployError, UserError
from exporter import capabilities
from exporter import operators as operator_registry
from exporter.assemble import assemble
from exporter.made import Reference
from exporter.operators.base import Draft, Operator
from exporter.options import Options
from exporter.outcome import Outcome, Refused
from exporter.prepare import FloatModel, Prepared, prepare, request_digest
from exporter.runtimes.base import Runtime
from exporter.subjects.base import Progress, Subject
from exporter.train_first import train_first
from exporter.training import processes
from exporter.write import toolchain


def bundle_path(out: Path, subject: str, operator: str, runtime: Runtime) -> Path:
    """Where a bundle is put. For people; nothing is ever read back out of it."""
    return out / subject / operator / f"{runtime.name}-{runtime.backend}"


def export(
    subjects: Sequence[Subject],
    asked: Sequence[str],
    runtimes: Sequence[Runtime],
    out: Path,
    options: Options,
    *,
    retrain: bool = False,
    force: bool = False,
    own_runtime: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> list[Outcome]:
    """Export every combination; identity comes first and is added where it is not asked for, since a drop in accuracy
    and a speed-up are against it.

    own_runtime: a file as given is exported to its own runtime alone, whatever the others are exported to.
    A combination that fails is reported and does not stop the others. Raises UserError before any work when something
    asked for does not exist.

    Of several processes all train, and the main one exports; what it gives is the outcome, the others give none. There a
    training that fails does stop the others (see train_first).
    """
    together = processes.current()
    if together.main:
        _require_writable(out)
    parsed = [operator_registry.parse(name) for name in dict.fromkeys(("identity", *asked))]
    outcomes: list[Outcome] = []
    refused = {
        (subject.name, runtime.name, draft.asked): Refused(why)
        for subject in subjects
        for runtime in _taken(subject, runtimes, own_runtime)
        for draft, operators in parsed
        if (why := capabilities.refusal(draft, operators, subject, runtime)) is not None
    }
    for (subject_name, runtime_name, name), refusal in refused.items():
        say(f"{subject_name}: {name} on {runtime_name} cannot be: {refusal}")

    def loaded(subject: Subject) -> Prepared:
        say(f"{subject.name}: loading model and data")
        return prepare(subject, retrain=retrain, progress=progress, say=say)

    ready: list[Prepared] = []
    if together.count > 1:
        say(f"training in {together.count} processes, this one on {together.device}")
        ready = train_first([(subject, _possible(subject, parsed, runtimes, refused)) for subject in subjects], loaded)
    if not together.main:
        return []
    for number, subject in enumerate(subjects):
        prepared = ready[number] if ready else loaded(subject)
        for runtime in _taken(subject, runtimes, own_runtime):
            lacks = prepared.original.lacks(runtime.name)
            if lacks is None:
                continue
            # a student may do without the operator, and is looked at once it is there
            names = [draft.asked for draft, _ in parsed if "distilled" not in draft.transforms]
            say(f"{subject.name}: {', '.join(names)} on {runtime.name} cannot be: {lacks}")
            for name in names:
                refused.setdefault((subject.name, runtime.name, name), Refused(lacks))
        for runtime in _taken(subject, runtimes, own_runtime):
            reference: Reference | None = None
            for draft, operators in parsed:
                path = bundle_path(out, subject.name, draft.asked, runtime)
                try:
                    if (subject.name, runtime.name, draft.asked) in refused:
                        raise refused[subject.name, runtime.name, draft.asked]
                    outcome = _one(prepared, draft, operators, runtime, path, options, reference, force=force)
                except EdgedeployError as error:
                    outcome = Outcome(subject.name, draft.asked, runtime.name, runtime.backend, path, "failed", error=error)
                outcomes.append(outcome)
                say(f"  {draft.asked} on {runtime.name}-{runtime.backend}: {outcome.error or f'{outcome.state} {path}'}")
                if draft.asked == "identity" and outcome.digest is not None:
                    reference = _reference(path)
    return outcomes


def _possible(
    subject: Subject,
    parsed: Sequence[tuple[Draft, list[Operator]]],
    runtimes: Sequence[Runtime],
    refused: Container[tuple[str, str, str]],
) -> list[list[Operator]]:
    """The operators of every combination that some runtime does not refuse."""
    return [
        operators
        for draft, operators in parsed
        if any((subject.name, runtime.name, draft.asked) not in refused for runtime in runtimes)
    ]


def _taken(subject: Subject, runtimes: Sequence[Runtime], own_runtime: bool) -> list[Runtime]:
    given = subject.given if own_runtime else None
    return [runtime for runtime in runtimes if given is None or runtime.name == given.runtime]


def _require_writable(out: Path) -> None:
    """Make the output directory. Raises UserError where that, or writing there, is not possible: before any work."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".edgedeploy-", dir=out):
            pass
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror or error}; give another --out") from None


def _one(
    prepared: Prepared,
    draft: Draft,
    operators: list[Operator],
    runtime: Runtime,
    path: Path,
    options: Options,
    reference: Reference | None,
    *,
    force: bool,
) -> Outcome:
    made = prepared.float_model(operators)
    lacks = made.lacks(runtime.name)
    if lacks is not None:
        raise Refused(lacks)
    request = _request(prepared, made, draft, runtime, options, reference)
    bundle.refuse_file(path)
    if path.exists() and not force:
        there = _standing(path)
        if there.manifest.request != request:
            raise UserError(
                f"{path} is there already and was made from something else (weights, data, options or tool versions); "
                "give --force to replace it, or another --out"
            )
        return Outcome(prepared.subject.name, draft.asked, runtime.name, runtime.backend, path, "kept", there.digest)
    digest = assemble(prepared, draft, operators, runtime, path, options, request, reference, replace=force)
    return Outcome(prepared.subject.name, draft.asked, runtime.name, runtime.backend, path, "written", digest)


def _standing(path: Path) -> bundle.Bundle:
    """The whole bundle at `path`, which a new one would replace. Raises UserError, saying so, when it is damaged."""
    try:
        there = bundle.read(path)
        bundle.check_files(there)
    except bundle.BundleError as error:
        raise UserError(f"{error}. What stands at {path} is not a whole bundle; --force replaces it") from None
    return there


def _request(
    prepared: Prepared, made: FloatModel, draft: Draft, runtime: Runtime, options: Options, reference: Reference | None
) -> str:
    quantised = draft.precision != "fp32"
    cut = {"cut": options.cut.key()} if draft.cut else {}
    return request_digest(
        {
            **cut,
            "subject": prepared.subject.name,
            "signature": prepared.subject.signature.model_dump(mode="json"),
            "original": prepared.original.weights.digest,
            "made": made.weights.digest,
            "transforms": draft.transforms,
            "precision": draft.precision,
            "runtime": runtime.name,
            "backend": runtime.backend,
            "target": options.target,
            "calibration": [options.calibration_samples, options.methods, options.max_points] if quantised else None,
            "sets": prepared.set_digests,
            "toolchain": toolchain(runtime, prepared.subject.given),
            "reference": reference.bundle.digest if reference is not None and draft.asked != "identity" else None,
        }
    )


def _reference(path: Path) -> Reference:
    read = bundle.read(path)
    if "eval/host.npz" not in read.manifest.files:
        return Reference(read, None)
    return Reference(read, read.npz("eval/host.npz")["right"].astype(np.bool_))
