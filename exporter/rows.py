"""What an export came to, for people and for machines: one row a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgedeploy import bundle
from edgedeploy.artifact import Manifest
from exporter.outcome import Outcome
from exporter.parallel import kind_of


def of(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The rows of the JSON document `bundles`, in the outcomes' order."""
    rows = []
    for outcome in outcomes:
        row: dict[str, Any] = {
            "subject": outcome.subject, "operator": outcome.operator, "runtime": outcome.runtime, "backend": outcome.backend,
            "state": outcome.state, "path": str(outcome.path), "digest": outcome.digest,
            "error": str(outcome.error) if outcome.error is not None else None,
            "error_kind": kind_of(outcome.error) if outcome.error is not None else None,
        }  # fmt: skip
        if outcome.error is None:
            row |= _measured(bundle.read(outcome.path).manifest)
        rows.append(row)
    return rows


def _measured(manifest: Manifest) -> dict[str, Any]:
    return {
        "precision": manifest.precision, "target": manifest.target_isa, "model_bytes": manifest.model_bytes,
        "parameters": manifest.parameters, "macs": manifest.macs,
        "accuracy": manifest.accuracy.model_dump() if manifest.accuracy else None,
        "drop": manifest.drop.model_dump() if manifest.drop else None,
        "int8_share": _share(manifest, "int8_share"), "fast_share": _share(manifest, "fast_share"),
        "stages": len(manifest.stages), "cut": manifest.recipe.cut,
        "crossing_bytes": sum(spec.nbytes for spec in manifest.cut_tensors),
        "notes": [*manifest.warnings, *(timing.note for timing in manifest.timings.values() if timing.note)],
    }  # fmt: skip


def _share(manifest: Manifest, name: str) -> float | None:
    """The share of all stages' MACs, None where a stage was not looked at."""
    coverages = [stage.coverage for stage in manifest.stages if stage.coverage is not None]
    if len(coverages) < len(manifest.stages):
        return None
    macs = sum(each.macs for each in coverages)
    return sum(getattr(each, name) * each.macs for each in coverages) / macs if macs else 0.0
