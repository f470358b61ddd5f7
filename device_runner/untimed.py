"""One launch for its outputs alone: no timing. The model runs in the runner's worker, with limits on time and memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from device_runner.experiment import new_id
from device_runner.plan import document
from device_runner.runner import RunnerRefused, Status
from edgedeploy.record import Limits, Plan

if TYPE_CHECKING:
    from device_runner.session import Measured, Session
    from device_runner.workload import Workload

MAX_MEMORY_MB = 4096
_NONE = Limits(min_count=0, min_ms=0)


def run(
    workload: Workload, session: Session, max_seconds: float, watch: Callable[[Status], None] = lambda status: None
) -> tuple[Measured | None, str]:
    """What the launch left, and why it failed: empty when it did not. Nothing stays on the device but the store."""
    plan = Plan(launches=1, warmup=_NONE, steady=_NONE, max_seconds=max_seconds, max_memory_mb=MAX_MEMORY_MB)
    directory = f"checks/{new_id()}"
    try:
        session.start(directory, session.stage(workload), document(workload, plan, outputs=True, load_cold=False))
        in_time = session.wait(directory, plan, watch)
        measured = session.collect(directory, workload)
    except RunnerRefused as error:
        return None, str(error)
    finally:
        session.end(directory)
    said = measured.event("error")
    if said:
        return measured, f"{said.get('code')}: {said.get('message')}"
    return measured, "" if in_time else f"not done in {max_seconds:g} s"
