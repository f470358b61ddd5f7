"""A launch that is in no run: for its outputs alone, or for what a pass of its own is to tell.

The model runs in the runner's worker, with limits on time and memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from device_runner.experiment import new_id
from device_runner.plan import document
from device_runner.runner import RunnerRefused, Status
from edgedeploy.record import Limits, Plan

if TYPE_CHECKING:
    from device_runner.place import Place
    from device_runner.session import Measured
    from device_runner.workload import Workload

MAX_MEMORY_MB = 4096
_NONE = Limits(min_count=0, min_ms=0)


@dataclass(frozen=True)
class Left:
    """What a launch left. failure: why it failed, empty when it did not; `measured` is None when it never began."""

    measured: Measured | None
    failure: str = ""
    #: files beside the plan that were asked for and are there
    files: Mapping[str, str] = field(default_factory=dict)


def run(
    workload: Workload, session: Place, max_seconds: float, watch: Callable[[Status], None] = lambda status: None
) -> tuple[Measured | None, str]:
    """What the launch left, and why it failed: empty when it did not. Nothing stays on the device but the store."""
    plan = Plan(launches=1, warmup=_NONE, steady=_NONE, max_seconds=max_seconds, max_memory_mb=MAX_MEMORY_MB)
    left = launch(workload, session, plan, document(workload, plan, outputs=True, load_cold=False), watch)
    return left.measured, left.failure


def launch(
    workload: Workload, session: Place, plan: Plan, asked: dict[str, Any],
    watch: Callable[[Status], None] = lambda status: None, wanted: Mapping[str, int] | None = None,
) -> Left:  # fmt: skip
    """A launch that is in no run. asked: its plan.json. wanted: files to fetch as text, and how many bytes each may have.

    Nothing stays on the device but the store. Raises TransientError when the device stays away.
    """
    directory = f"checks/{new_id()}"
    files = {}
    try:
        session.start(directory, session.stage(workload), asked)
        in_time = session.wait(directory, plan, watch)
        measured = session.collect(directory, workload)
        for name, most_bytes in (wanted or {}).items():
            text = session.text(f"{directory}/{name}", most_bytes)
            if text is not None:
                files[name] = text
    except RunnerRefused as error:
        return Left(None, str(error))
    finally:
        session.end(directory)
    said = measured.event("error")
    failure = f"{said.get('code')}: {said.get('message')}" if said else ""
    return Left(measured, failure or ("" if in_time else f"not done in {plan.max_seconds:g} s"), files)
