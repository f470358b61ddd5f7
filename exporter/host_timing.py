"""A quick look at whether int8 pays on this host: two models timed alternately. A hint at export, never a result."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from edgedeploy.artifact import Coverage
from exporter.runtimes.base import PortedModel

ROUNDS = 8
CALLS_PER_ROUND = 12


def medians_ms(models: Sequence[PortedModel], batch: Mapping[str, npt.NDArray[Any]]) -> list[float]:
    """Median milliseconds of each model, one thread, rounds interleaved (ABBA) so that drift hits all alike."""
    fed = [model.feeds(batch) for model in models]
    for model, feeds in zip(models, fed, strict=True):
        for _ in range(3):
            model.run_fed(feeds)
    samples: list[list[int]] = [[] for _ in models]
    order = list(range(len(models)))
    for _ in range(ROUNDS):
        for i in order:
            for _ in range(CALLS_PER_ROUND):
                start = time.perf_counter_ns()
                models[i].run_fed(fed[i])
                samples[i].append(time.perf_counter_ns() - start)
        order.reverse()
    return [statistics.median(each) / 1e6 for each in samples]


def reason(coverage: Coverage, target: str) -> str:
    """Why an int8 artifact may be slower than its float twin, from what became of its graph."""
    reasons = []
    left = [op for op in coverage.heavy if op.compute != "int8"]
    if left:
        share = sum(op.macs for op in left) / max(coverage.macs, 1)
        kinds = sorted({op.kind for op in left})
        reasons.append(f"{share:.0%} of the MACs stayed in float ({', '.join(kinds)}), with conversions around them")
    if coverage.fast_share < 0.95:
        reasons.append(f"the fast backend took only {coverage.fast_share:.0%} of the MACs")
    if coverage.partitions is not None and coverage.partitions > 4:
        reasons.append(f"the graph fell into {coverage.partitions} pieces, each handed over at a cost")
    if target == "x86_64":
        reasons.append("this CPU has no VNNI, so int8 products take three instructions where float takes one")
    if not reasons:
        reasons.append(
            "the heavy operators run in int8; the model is so small that quantising its ends costs more than that saves"
        )
    return "; ".join(reasons)
