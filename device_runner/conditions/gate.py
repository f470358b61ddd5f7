"""What is refused before anything is measured, since its numbers would mean nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from edgedeploy.record import Plan


def check_plan(plan: Plan, cpus: frozenset[int] | None) -> None:
    """Raise UserError for CPUs the device does not have, and for more threads than CPUs to run them.

    cpus: what `conditions.cpus.allowed` found; nothing is refused on account of them when it found nothing.
    """
    if plan.affinity is not None:
        if not plan.affinity or len(set(plan.affinity)) != len(plan.affinity):
            raise UserError("--affinity names each CPU once, at least one: --affinity 0,1")
        missing = sorted(set(plan.affinity) - cpus) if cpus is not None else []
        if missing:
            there = ",".join(map(str, sorted(cpus or ())))
            raise UserError(f"--affinity: the device lets us use CPUs {there}, not {','.join(map(str, missing))}")
        if plan.threads > len(plan.affinity):
            raise UserError(f"--threads {plan.threads} on {len(plan.affinity)} CPUs would measure their queue; name more CPUs")
    if cpus is not None and plan.threads > len(cpus):
        raise UserError(f"--threads {plan.threads}: the device lets us use {len(cpus)} CPUs; give at most that many")
