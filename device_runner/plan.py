"""The runner's plan.json: from a bundle's manifest and from how it is to be measured. See docs/runner-protocol.md."""

from __future__ import annotations

import math
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from device_runner.workload import Feed, Product, Workload
from edgedeploy.bundle import BundleError
from edgedeploy.errors import UserError
from edgedeploy.int8 import reason as slow_int8_reason
from edgedeploy.record import ArtifactRef, Limits, Plan
from edgedeploy.signature import TensorSpec

if TYPE_CHECKING:
    from edgedeploy.bundle import Bundle

PROTOCOL = 1
#: where outputs go, beside the plan
OUTPUTS = "outputs"


def document(workload: Workload, plan: Plan, *, outputs: bool, load_cold: bool = True) -> dict[str, Any]:
    """The plan.json of one launch. `outputs`: whether every case is run once after the timing, and kept."""
    return {
        "protocol": PROTOCOL,
        "runtime": workload.artifact.runtime,
        "backend": workload.artifact.backend,
        "model": workload.model_name,
        "threads": plan.threads,
        "affinity": list(plan.affinity) if plan.affinity is not None else None,
        "inputs": [
            {**_tensor(feed.tensor), "file": input_file(index), "adapters": _adapters(feed)}
            for index, feed in enumerate(workload.feeds)
        ],
        "outputs": [{**_tensor(product.tensor), "adapters": _adapters(product)} for product in workload.products],
        "cases": workload.cases,
        "warmup": _limits(plan.warmup),
        "steady": _limits(plan.steady),
        "max_seconds": plan.max_seconds,
        "max_memory_mb": plan.max_memory_mb,
        "write_outputs": OUTPUTS if outputs else None,
        "output_cases": workload.cases,
        "load_cold": load_cold,
    }


def input_file(index: int) -> str:
    """Where input `index` is, beside the plan. Numbered: a tensor's name may hold anything."""
    return f"inputs/{index}.bin"


def from_bundle(bundle: Bundle) -> Workload:
    """The workload of a bundle of one stage, fed with its golden inputs.

    Raises UserError for a partitioned one, BundleError when golden arrays and signature do not fit together.
    """
    manifest = bundle.manifest
    if len(manifest.stages) != 1:
        raise UserError(f"{bundle.path}: has {len(manifest.stages)} stages; only artifacts of one stage can be benched yet")
    stage = manifest.stages[0]
    given = {spec.name: spec for spec in manifest.signature.inputs}
    wanted = {spec.name: spec for spec in manifest.signature.outputs}
    inputs, expected = bundle.arrays("golden/inputs"), bundle.arrays("golden/expected")
    feeds = []
    for port in stage.inputs:
        source = _source(bundle, given, port.source)
        if port.source not in inputs:
            raise BundleError(f"{bundle.path}: golden/inputs has no {port.source!r}")
        data = cases(bundle, inputs[port.source], source)
        feeds.append(Feed(source.model_copy(update={"name": port.name}), data, port.adapters))
    if len({len(feed.data) for feed in feeds}) != 1:
        raise BundleError(f"{bundle.path}: golden inputs differ in how many cases they have")
    products = []
    for port in stage.outputs:
        source = _source(bundle, wanted, port.source)
        array = expected.get(port.source)
        data_out = cases(bundle, array, source) if array is not None else None
        if data_out is not None and len(data_out) != len(feeds[0].data):
            raise BundleError(f"{bundle.path}: golden/expected {port.source!r} has not one case per input")
        products.append(Product(source.model_copy(update={"name": port.name}), port.adapters, data_out))
    return Workload(
        artifact=_reference(bundle),
        model=bundle.file(stage.file),
        model_sha256=stage.sha256,
        model_name=PurePosixPath(stage.file).name,
        feeds=tuple(feeds),
        products=tuple(products),
        conformance=manifest.conformance,
    )


def _reference(bundle: Bundle) -> ArtifactRef:
    manifest = bundle.manifest
    coverage = manifest.stages[0].coverage
    int8 = coverage is not None and manifest.precision.startswith("int8")
    return ArtifactRef(
        digest=bundle.digest, kind="bundle", path=str(bundle.path)[-500:], subject=manifest.subject,
        operator=manifest.recipe.asked, transforms=manifest.recipe.transforms, runtime=manifest.runtime,
        backend=manifest.backend, precision=manifest.precision, target_isa=manifest.target_isa,
        model_bytes=manifest.model_bytes, accuracy=manifest.accuracy, drop=manifest.drop, warnings=manifest.warnings,
        int8_reason=slow_int8_reason(coverage, manifest.target_isa) if int8 and coverage is not None else "",
    )  # fmt: skip


def _source(bundle: Bundle, specs: dict[str, TensorSpec], name: str) -> TensorSpec:
    if name not in specs:
        raise BundleError(f"{bundle.path}: a port stands for {name!r}, which the signature does not have")
    return specs[name]


def cases(bundle: Bundle, array: npt.NDArray[Any], spec: TensorSpec) -> npt.NDArray[Any]:
    """[cases, elements] of a stored array [cases, ...], which must be of the signature's dtype and shape."""
    if array.dtype != np.dtype(spec.dtype) or array.ndim < 1 or not len(array) or array.shape[1:] != spec.shape[1:]:
        found = f"{array.dtype} {list(array.shape)}"
        raise BundleError(f"{bundle.path}: {spec.name!r} is stored as {found}, not as cases of {spec.dtype} {list(spec.shape)}")
    return np.ascontiguousarray(array).reshape(len(array), -1)


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)}


def _adapters(end: Feed | Product) -> list[dict[str, Any]]:
    return [adapter.model_dump(mode="json") for adapter in end.adapters]


def _limits(limits: Limits) -> dict[str, int]:
    # the runner counts whole milliseconds
    return {"min_count": limits.min_count, "min_ms": math.ceil(limits.min_ms), "max_count": limits.max_count}
