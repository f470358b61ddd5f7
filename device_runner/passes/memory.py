"""Memory of a model: a launch that loads it and infers a few times, and says at each step what is resident."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from device_runner import untimed
from device_runner.plan import document
from edgedeploy.record import Limits, MemoryUse, Plan

if TYPE_CHECKING:
    from device_runner.place import Place
    from device_runner.workload import Workload

#: inferences: a runtime may still allocate in the second one
_CALLS = Limits(min_count=5, min_ms=0, max_count=5)
_NONE = Limits(min_count=0, min_ms=0, max_count=1)


def measure(workload: Workload, session: Place, plan: Plan) -> MemoryUse:
    """Raises TransientError when the device stays away; a model that fails says why."""
    # one case alone: the cases that conformance needs would be in it
    one = workload.fed({feed.source: feed.data[:1] for feed in workload.feeds}) if workload.conformance else workload
    brief = plan.model_copy(update={"warmup": _NONE, "steady": _CALLS, "launches": 1})
    left = untimed.launch(one, session, brief, document(one, brief, outputs=False, load_cold=False, also=("memory",)))
    if left.failure or left.measured is None:
        return MemoryUse(unavailable=left.failure[:4000])
    said = {line.get("at"): line for line in left.measured.events if line.get("event") == "memory"}
    last = said.get("steady", {})
    if not last:
        return MemoryUse(unavailable="the runner said nothing of its memory")
    return MemoryUse(
        library_kb=_kb(said.get("library", {}), "rss_kb"), loaded_kb=_kb(said.get("load", {}), "rss_kb"),
        steady_kb=_kb(last, "rss_kb"), peak_kb=_kb(last, "peak_rss_kb"),
        anonymous_kb=_kb(last, "anonymous_kb"), file_kb=_kb(last, "file_kb"),
    )  # fmt: skip


def _kb(line: dict[str, Any], key: str) -> int | None:
    value = line.get(key)
    # 0 is what the runner says where the kernel shows none
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53 else None
