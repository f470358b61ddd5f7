"""What a run is, in the words of an experiment tracker: parameters, metrics and tags, flat and bounded."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from edgedeploy import __version__
from edgedeploy.record import Interval, RunRecord
from edgedeploy.terminal import clean

#: the tag a run is known by; a tracker is asked for it before a run is written
RECORD = "edgedeploy.record_sha256"
#: of MLflow
_MAX_KEY, _MAX_VALUE = 250, 6000
_NO_KEY = re.compile(r"[^A-Za-z0-9_.-]+")


def canonical(record: RunRecord) -> bytes:
    """The record as JSON, the same for the same record."""
    return json.dumps(record.model_dump(mode="json"), sort_keys=True, allow_nan=False).encode()


def parameters(record: RunRecord) -> dict[str, str]:
    """What was measured, where and how: artifact, device, plan, software."""
    artifact, device = record.artifact, record.devices[0]
    said: dict[str, Any] = {
        "artifact_sha256": artifact.digest, "artifact": artifact.path, "kind": artifact.kind, "subject": artifact.subject,
        "operator": artifact.operator, "runtime": artifact.runtime, "backend": artifact.backend,
        "precision": artifact.precision, "target_isa": artifact.target_isa,
        "device": device.name, "tier": device.tier, "transport": device.transport,
        "device_facts": device.facts, "runtime_version": ", ".join(_versions(record)),
        "plan": record.plan.model_dump(mode="json"), "software": record.software,
    }  # fmt: skip
    return dict(_flat("", said))


def _versions(record: RunRecord) -> list[str]:
    return sorted({launch.runtime_version for launch in record.launches if launch.runtime_version})


def metrics(record: RunRecord) -> dict[str, float]:
    """What came of it: estimates, with the ends of their intervals as _low and _high where there is one."""
    artifact = record.artifact
    found: dict[str, float | None] = {"model_bytes": artifact.model_bytes}
    intervals: dict[str, Interval | None] = {
        name: getattr(record, name)
        for name in ("median_ms", "p90_ms", "load_ms", "load_cold_ms", "first_ms", "cold_start_ms", "inferences_per_sec")
    }
    for name, interval in intervals.items():
        if interval is not None:
            found |= {name: interval.estimate, f"{name}_low": interval.low, f"{name}_high": interval.high}
    for name, accuracy in (("accuracy", artifact.accuracy), ("device_accuracy", record.device_accuracy)):
        if accuracy is not None:
            found |= {name: accuracy.value, f"{name}_low": accuracy.low, f"{name}_high": accuracy.high}
    if artifact.drop is not None:
        drop = artifact.drop
        found |= {"points_lost": drop.points, "points_lost_low": drop.low, "points_lost_high": drop.high}
    peaks = [launch.peak_rss_kb for launch in record.launches if launch.peak_rss_kb is not None]
    found["peak_rss_kb"] = max(peaks, default=None)
    found["launches_valid"] = sum(launch.valid for launch in record.launches)
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}


def tags(record: RunRecord) -> dict[str, str]:
    """What it is found by: digests, ids, whether it is valid, its flags."""
    flags = {finding.flag for launch in record.launches for finding in launch.findings or ()}
    flags |= {finding.flag for finding in record.findings or ()}
    said = {
        RECORD: hashlib.sha256(canonical(record)).hexdigest(),
        "edgedeploy.run": record.id,
        "edgedeploy.experiment": record.experiment.id,
        "edgedeploy.artifact_sha256": record.artifact.digest,
        "edgedeploy.valid": str(record.valid).lower(),
        "edgedeploy.invalid_because": "; ".join(record.invalid_because),
        "edgedeploy.flags": ", ".join(sorted(flags)),
        "edgedeploy.version": __version__,
    }
    return {name: clean(value, _MAX_VALUE - 1) for name, value in said.items() if value}


def _flat(prefix: str, value: Any) -> list[tuple[str, str]]:
    """(dotted name, text) of everything in it; what is not said is left out."""
    if isinstance(value, Mapping):
        return [pair for name, each in value.items() for pair in _flat(f"{prefix}.{name}" if prefix else str(name), each)]
    if value is None or value in ("", [], ()):
        return []
    shown = value if isinstance(value, str) else json.dumps(value)
    # a name may come from a device: nothing of it is a path
    name = re.sub(r"\.{2,}", ".", _NO_KEY.sub("_", prefix)).strip("._")
    return [(name[:_MAX_KEY] or "_", clean(shown, _MAX_VALUE - 1))]
