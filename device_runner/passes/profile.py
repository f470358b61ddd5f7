"""Where the time goes, and which backend it goes to: a launch with the runtime's own profiler on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device_runner import untimed
from device_runner.passes import onnx_trace, operators
from device_runner.passes.operators import Operator
from device_runner.plan import document
from device_runner.results.statistics import quantile
from edgedeploy.record import Limits, Plan, Profile

if TYPE_CHECKING:
    from device_runner.place import Place
    from device_runner.workload import Workload

#: enough for a median; ONNX Runtime's trace has a kilobyte for each call of each node
INFERENCES = 20
_CALLS = Limits(min_count=INFERENCES, min_ms=0, max_count=INFERENCES)
_WARMUP = Limits(min_count=3, min_ms=0, max_count=3)
#: operators that are taken from a runner
_MOST_OPERATORS = 100_000


def measure(workload: Workload, session: Place, plan: Plan) -> Profile:
    """Raises TransientError when the device stays away; a runtime that has no profiler there says so."""
    brief = plan.model_copy(update={"warmup": _WARMUP, "steady": _CALLS, "launches": 1, "streams": 1})
    asked = document(workload, brief, outputs=False, load_cold=False, also=("profile",))
    traces = {f"profile-{stage}.json": onnx_trace.MAX_BYTES for stage in range(len(workload.parts))}
    left = untimed.launch(workload, session, brief, asked, wanted=traces)
    if left.failure or left.measured is None:
        return Profile(unavailable=left.failure[:4000])
    steady = left.measured.samples.steady
    median = quantile(steady[:, 1], 0.5)
    found: list[Operator] = []
    missing: list[str] = []
    for stage in range(len(workload.parts)):
        said = [line for line in left.measured.events if line.get("stage") == stage]
        told = [operator for line in said if (operator := _operator(line, stage)) is not None]
        trace = left.files.get(f"profile-{stage}.json")
        try:
            told += onnx_trace.read(trace, stage, len(steady)) if trace is not None else []
        except onnx_trace.NoTrace as error:
            missing.append(str(error))
        if not told:
            reason = next((str(line["reason"]) for line in said if isinstance(line.get("reason"), str)), "")
            missing.append(reason or "the runner told of no operator")
        found += told[:_MOST_OPERATORS]
    if missing:
        # part of the stages would look like all of the time
        return Profile(unavailable="; ".join(dict.fromkeys(missing))[:4000])
    return Profile(
        inferences=len(steady), inference_ms=None if median is None else median / 1e6,
        groups=operators.groups(found), slowest=operators.slowest(found),
    )  # fmt: skip


def _operator(line: dict[str, Any], stage: int) -> Operator | None:
    """Of an `operator` line."""
    name, where, median = line.get("name"), line.get("where"), line.get("median_ns")
    if line.get("event") != "operator" or not isinstance(name, str) or not isinstance(where, str):
        return None
    if not isinstance(median, int) or isinstance(median, bool) or not 0 <= median < 2**63:
        return None
    return Operator(stage, name, operators.kind_of(name), where, float(median))
