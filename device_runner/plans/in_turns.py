"""`--in-turns`: the launches of a block run side by side and take turns of a few milliseconds.

A device that is faster or slower from one second to the next then meets all artifacts alike within each launch, where launches
one after the other meet it by luck. What it costs: every turn begins with a call that is not timed, since the caches are the
others'; and a model that fits the caches alone may not fit them so (docs/in-turns.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from device_runner.session import Measured
    from edgedeploy.record import Plan

#: as long as a call or two of a small model: shorter turns would be changes more than calls, longer ones meet the device
#: as it was (docs/measurements.md, "In turns")
TURN_MS = 3
#: of the runner (native/src/baton.h)
MOST = 8
MODES = ("quick", "standard")


def check(plan: Plan, count: int, bundle: str) -> None:
    """Raise UserError for a plan with turns that cannot be had for `count` artifacts. bundle: the kind of runner."""
    if plan.turn_ms is None:
        return
    if not 2 <= count <= MOST:
        raise UserError(f"--in-turns is for 2 to {MOST} artifacts, and there {'is' if count == 1 else 'are'} {count}")
    if plan.threads > 1:
        raise UserError(
            f"--in-turns is with one thread, and {plan.threads} are asked for (here or in devices.yaml): a pool of "
            "them is awake for a while when its call has ended, in another's turn. Give --threads 1, or leave out --in-turns"
        )
    if bundle == "app":
        raise UserError("--in-turns is not with --in-app: an app has one process")


def max_seconds(plan: Plan, count: int) -> float:
    """Longest a launch of `count` may take: it waits for the others, and each turn begins with a call that nobody times."""
    return plan.max_seconds * 2 * count


def broken(plan: Plan, measured: Measured) -> tuple[str, ...]:
    """Why a launch that was to take turns did not."""
    if plan.turn_ms is None:
        return ()
    turns, alone = (measured.event("steady").get(name) for name in ("turns", "alone"))
    if not isinstance(turns, int) or not isinstance(alone, int):
        return ("it took no turns",)
    if alone:
        return (f"{alone} of its {turns} turns were not in turn with all others, one of which had ended",)
    return ()
