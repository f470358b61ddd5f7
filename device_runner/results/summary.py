"""The runs of an experiment beside each other: one row each, with what can only be said by comparing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from device_runner.results.versus import ratio_of
from device_runner.validity import page, words
from edgedeploy.record import Finding, Interval, RunRecord

IDENTITY = "identity"


@dataclass(frozen=True)
class Row:
    """speedup: time of identity over time of this artifact, above 1 is faster; None when there is nothing to compare with."""

    record: RunRecord
    speedup: Interval | None
    warnings: tuple[str, ...]


def rows(records: Sequence[RunRecord]) -> list[Row]:
    """One row per run, in the order given."""
    return [Row(record, _speedup(record, records), _warnings(record, records)) for record in records]


def _comparable(one: RunRecord, other: RunRecord) -> bool:
    """Same subject on the same runtime, backend, device and threads, interleaved with each other."""
    a, b = one.artifact, other.artifact
    same = (a.subject, a.runtime, a.backend, a.kind) == (b.subject, b.runtime, b.backend, b.kind)
    there = one.experiment.id == other.experiment.id and (one.place, one.path) == (other.place, other.path)
    return same and there and one.plan == other.plan and one.valid and other.valid and a.kind != "as-given"


def _identity(record: RunRecord, records: Sequence[RunRecord]) -> RunRecord | None:
    return next((other for other in records if other.artifact.operator == IDENTITY and _comparable(record, other)), None)


def _speedup(record: RunRecord, records: Sequence[RunRecord]) -> Interval | None:
    identity = _identity(record, records)
    return None if identity is None or identity is record else ratio_of(identity, record)


def _float_twin(record: RunRecord, records: Sequence[RunRecord]) -> RunRecord | None:
    """The artifact of the same float model, not quantised; identity where there is none in this experiment."""
    for other in records:
        a = other.artifact
        if a.precision == "fp32" and a.transforms == record.artifact.transforms and _comparable(record, other):
            return other
    return _identity(record, records)


def _warnings(record: RunRecord, records: Sequence[RunRecord]) -> tuple[str, ...]:
    found = [*words.said(record), *record.warnings, *record.artifact.warnings]
    slower = _slower_than_float(record, records)
    return tuple(dict.fromkeys([slower, *found] if slower else found))


def _slower_than_float(record: RunRecord, records: Sequence[RunRecord]) -> str | None:
    twin = _float_twin(record, records) if record.artifact.precision.startswith("int8") else None
    if twin is None:
        return None
    slower = ratio_of(record, twin)
    if slower is None or slower.estimate <= 1 or (slower.low is not None and slower.low <= 1):
        return None
    bounds = f" [{slower.low:.2f}, {slower.high:.2f}]" if slower.low is not None and slower.high is not None else ""
    because = record.artifact.int8_reason or "its manifest does not say where its operators run"
    return f"int8 takes {slower.estimate:.2f}{bounds} times as long as {twin.artifact.operator} in float: {because}"


def as_json(row: Row, place: str) -> dict[str, Any]:
    """A row as `--json` prints it. Times in milliseconds."""
    record, artifact = row.record, row.record.artifact

    def interval(value: Interval | None) -> dict[str, Any] | None:
        return value.model_dump(mode="json") if value is not None else None

    return {
        "id": record.id,
        "path": place,
        "experiment": record.experiment.id,
        "artifact": artifact.path,
        "digest": artifact.digest,
        "kind": artifact.kind,
        "subject": artifact.subject,
        "operator": artifact.operator,
        "runtime": artifact.runtime,
        "backend": artifact.backend,
        "precision": artifact.precision,
        "target_isa": artifact.target_isa,
        "model_bytes": artifact.model_bytes,
        "device": record.place,
        "tier": record.tier,
        "threads": record.plan.threads,
        "mode": record.plan.mode,
        "turn_ms": record.plan.turn_ms,
        "launches": sum(launch.valid for launch in record.launches),
        "valid": record.valid,
        "invalid_because": list(record.invalid_because),
        "conforms": _conforms(record),
        "median_ms": interval(record.median_ms),
        "p90_ms": interval(record.p90_ms),
        "load_ms": interval(record.load_ms),
        "load_cold_ms": interval(record.load_cold_ms),
        "first_ms": interval(record.first_ms),
        "inferences_per_sec": interval(record.inferences_per_sec),
        "two_devices": _two_devices(record),
        "cold_start_ms": interval(record.cold_start_ms),
        "profile": record.profile.model_dump(mode="json") if record.profile else None,
        "memory": record.memory.model_dump(mode="json") if record.memory else None,
        "sustained": [found.model_dump(mode="json") for found in record.sustained],
        "accuracy": artifact.accuracy.model_dump(mode="json") if artifact.accuracy else None,
        "device_accuracy": record.device_accuracy.model_dump(mode="json") if record.device_accuracy else None,
        "speedup_over_identity": interval(row.speedup),
        "flags": flags(record),
        "warnings": list(row.warnings),
    }


def _two_devices(record: RunRecord) -> dict[str, Any] | None:
    """What a run over two devices has besides; None of one device."""
    if record.split is None:
        return None
    parts = {name: getattr(record, name) for name in ("near_ms", "round_trip_ms", "far_ms", "link_ms")}
    return {
        "devices": [{"name": device.name, "role": device.role, "tier": device.tier} for device in record.devices],
        "split": record.split,
        "path": record.path.model_dump(mode="json") if record.path else None,
        **{name: value.model_dump(mode="json") if value else None for name, value in parts.items()},
    }


def flags(record: RunRecord) -> list[dict[str, Any]]:
    """Each with its numbers and its page; `launch` is None for one of the run as a whole."""
    of: list[tuple[int | None, Finding]] = [(None, finding) for finding in record.findings or ()]
    of += [(launch.index, finding) for launch in record.launches for finding in launch.findings or ()]
    return [
        {"launch": launch, **finding.model_dump(mode="json"), "page": page(finding.flag)} for launch, finding in of
    ]  # fmt: skip


def _conforms(record: RunRecord) -> bool | None:
    """Whether every launch that was checked conforms; None when none was."""
    checked = [launch.conforms for launch in record.launches if launch.conforms is not None]
    return all(checked) if checked else None
