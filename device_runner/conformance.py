"""Whether a bundle gives, on a device, what its host got at export: its golden inputs through the real runner.

The model runs in a process of its own with limits on time and memory, since a bundle may come from anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from device_runner import inventory, untimed
from device_runner.compare import conforms
from device_runner.plan import from_bundle
from device_runner.session import open_session

if TYPE_CHECKING:
    from device_runner.session import Measured
    from device_runner.workload import Workload
    from edgedeploy.bundle import Bundle

MAX_SECONDS = 120.0


@dataclass(frozen=True)
class ConformanceReport:
    """max_abs: the largest |device - host| over all outputs, None when the model gave none."""

    ok: bool
    max_abs: float | None
    cases: int
    detail: str


def check(
    bundle: Bundle, device: str = "local", max_seconds: float = MAX_SECONDS, say: Callable[[str], None] = lambda what: None
) -> ConformanceReport:
    """Run the golden inputs of `bundle`, whose files were checked, and compare. `say` is told what is going on.

    A model that the runtime refuses, that dies or that runs over its limits is a report that is not ok. Raises UserError for a
    bundle that cannot be run at all (golden arrays that do not fit).
    """
    workload = from_bundle(bundle)
    if not workload.checked:
        return ConformanceReport(False, None, 0, "the bundle has no golden outputs, or states no tolerance")
    say(f"connecting to {device}")
    with open_session(inventory.resolve(device), wanted=workload.models) as session:
        say("golden inputs")
        ran = untimed.run(workload, session, max_seconds, lambda status: say(f"golden inputs: {status.phase}"))
    return _judged(workload, *ran)


def _judged(workload: Workload, measured: Measured | None, failure: str) -> ConformanceReport:
    tolerance = workload.conformance
    if failure or measured is None or tolerance is None:
        return ConformanceReport(False, None, 0, failure)
    found = []
    for product, given in zip(workload.products, measured.outputs, strict=True):
        if given is None:
            return ConformanceReport(False, None, 0, f"{product.tensor.name}: was not written")
        if product.expected is not None:
            found.append(conforms(product.expected, given, tolerance, product.tensor.name))
    return ConformanceReport(
        ok=all(each.ok for each in found), max_abs=max(each.max_abs for each in found), cases=workload.cases,
        detail="; ".join(each.detail for each in found),
    )  # fmt: skip
