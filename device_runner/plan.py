"""The runner's plan.json: from a bundle's manifest and from how it is to be measured. See docs/runner-protocol.md."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_runner import stages
from device_runner.plans import in_turns as turns
from device_runner.workload import Feed, Part, Product, Wire, Workload
from edgedeploy.int8 import reason as slow_int8_reason
from edgedeploy.record import ArtifactRef, Limits, Plan
from edgedeploy.signature import TensorSpec

if TYPE_CHECKING:
    from edgedeploy.bundle import Bundle

PROTOCOL = 1
#: where outputs go, beside the plan
OUTPUTS = "outputs"


def document(
    workload: Workload,
    plan: Plan,
    *,
    outputs: bool,
    load_cold: bool = True,
    also: tuple[str, ...] = (),
    in_turns: int = 0,
) -> dict[str, Any]:
    """The plan.json of one launch. `outputs`: whether every case is run once after the timing, and kept. also: what a pass of
    its own asks for, "profile" or "memory". in_turns: how many launches are started together to take turns, and each has
    longer for that."""
    files = {id(feed): input_file(index) for index, feed in enumerate(workload.feeds)}
    first, *later = (_stage(part, files) for part in workload.parts)
    return {
        "protocol": PROTOCOL,
        "runtime": workload.artifact.runtime,
        "backend": workload.artifact.backend,
        **first,
        **({"then": later} if later else {}),
        "threads": plan.threads,
        "affinity": list(plan.affinity) if plan.affinity is not None else None,
        "cases": workload.cases,
        "warmup": _limits(plan.warmup),
        "steady": _limits(plan.steady),
        "max_seconds": turns.max_seconds(plan, in_turns) if in_turns else plan.max_seconds,
        "max_memory_mb": plan.max_memory_mb,
        "write_outputs": OUTPUTS if outputs else None,
        "output_cases": workload.cases,
        "load_cold": load_cold,
        **({"streams": plan.streams} if plan.streams > 1 else {}),
        **dict.fromkeys(also, True),
        **({"turn_ms": plan.turn_ms} if in_turns else {}),
        **({"spin_percent": workload.spin_percent} if workload.spin_percent else {}),
    }


def lay_out(workload: Workload, directory: Path, asked: dict[str, Any]) -> Path:
    """Put everything of a launch into a directory of this host, for a runner that is called by hand; returns the plan's path.

    What a session does on a device, without one.
    """
    (directory / "inputs").mkdir(parents=True)
    for part in workload.parts:
        shutil.copyfile(part.model, directory / part.name)
    for index, feed in enumerate(workload.feeds):
        feed.data.tofile(directory / input_file(index))
    (directory / "plan.json").write_text(json.dumps(asked), "utf-8")
    return directory / "plan.json"


def input_file(index: int) -> str:
    """Where input `index` is, beside the plan. Numbered: a tensor's name may hold anything."""
    return f"inputs/{index}.bin"


def from_bundle(bundle: Bundle) -> Workload:
    """The workload of a bundle, fed with its golden inputs; one of several stages runs them one after the other.

    Raises BundleError when golden arrays, ports and signature do not fit together.
    """
    return Workload(_reference(bundle), stages.parts(bundle), bundle.manifest.conformance)


def _reference(bundle: Bundle) -> ArtifactRef:
    manifest = bundle.manifest
    int8 = [stage.coverage for stage in manifest.stages if stage.coverage and manifest.precision.startswith("int8")]
    reasons = dict.fromkeys(slow_int8_reason(coverage, manifest.target_isa) for coverage in int8)
    return ArtifactRef(
        digest=bundle.digest, kind="bundle", path=str(bundle.path)[-500:], subject=manifest.subject,
        operator=manifest.recipe.asked, transforms=manifest.recipe.transforms, runtime=manifest.runtime,
        backend=manifest.backend, precision=manifest.precision, target_isa=manifest.target_isa,
        model_bytes=manifest.model_bytes, accuracy=manifest.accuracy, drop=manifest.drop, warnings=manifest.warnings,
        int8_reason="; ".join(reason for reason in reasons if reason)[:4000],
    )  # fmt: skip


def _stage(part: Part, files: dict[int, str]) -> dict[str, Any]:
    return {
        "model": part.name,
        "inputs": [
            {**_tensor(end), **({"file": files[id(end)]} if isinstance(end, Feed) else {"from": [end.stage, end.output]})}
            for end in part.inputs
        ],
        "outputs": [{**_tensor(product), **({} if product.kept else {"write": False})} for product in part.outputs],
    }


def _tensor(end: Feed | Wire | Product) -> dict[str, Any]:
    spec: TensorSpec = end.tensor
    adapters = [adapter.model_dump(mode="json") for adapter in end.adapters]
    return {"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape), "adapters": adapters}


def _limits(limits: Limits) -> dict[str, int]:
    # the runner counts whole milliseconds
    return {"min_count": limits.min_count, "min_ms": math.ceil(limits.min_ms), "max_count": limits.max_count}
