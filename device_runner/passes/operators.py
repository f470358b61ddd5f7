"""Operators that a profiler told of, as the groups of a record."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgedeploy.record import OperatorGroup, OperatorTime

#: kinds in a record, and operators by themselves: the rest is one group, and the log has all
MAX_GROUPS, MAX_SLOWEST = 60, 20
#: where what is left over ran: in several places
SEVERAL = "several"


@dataclass(frozen=True)
class Operator:
    """time_ns: the median of its calls."""

    stage: int
    name: str
    kind: str
    where: str
    time_ns: float


def kind_of(name: str) -> str:
    """What the operators of a kind share of their names: XNNPACK's are numbered by ExecuTorch ("… GEMM #9")."""
    return re.sub(r" #\d+$", "", name)


def groups(operators: Sequence[Operator]) -> tuple[OperatorGroup, ...]:
    """By kind, place and stage, the largest share first."""
    total = sum(operator.time_ns for operator in operators) or 1.0
    found: dict[tuple[str, str, int], list[float]] = {}
    for operator in operators:
        found.setdefault((operator.kind, operator.where, operator.stage), []).append(operator.time_ns)
    ordered = sorted(found.items(), key=lambda item: (-sum(item[1]), item[0]))
    made = [
        OperatorGroup(
            kind=kind[:500], where=where[:500], stage=stage, operators=len(times), time_ms=sum(times) / 1e6,
            share=min(1.0, sum(times) / total),
        )
        for (kind, where, stage), times in ordered[:MAX_GROUPS]
    ]  # fmt: skip
    rest = [time for _, times in ordered[MAX_GROUPS:] for time in times]
    if rest:
        share = min(1.0, sum(rest) / total)
        made.append(OperatorGroup(kind="other kinds", where=SEVERAL, operators=len(rest), time_ms=sum(rest) / 1e6, share=share))
    return tuple(made)


def slowest(operators: Sequence[Operator]) -> tuple[OperatorTime, ...]:
    """The slowest by themselves."""
    first = sorted(operators, key=lambda operator: -operator.time_ns)[:MAX_SLOWEST]
    return tuple(
        OperatorTime(name=each.name[:500], where=each.where[:500], stage=each.stage, time_ms=each.time_ns / 1e6)
        for each in first
    )
