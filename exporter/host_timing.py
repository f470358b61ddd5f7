"""A quick look at whether int8 pays on this host: two models timed alternately. A hint at export, never a result."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from exporter.lower import Chain

ROUNDS = 8
CALLS_PER_ROUND = 12


def medians_ms(models: Sequence[Chain], batch: Mapping[str, npt.NDArray[Any]]) -> list[float]:
    """Median milliseconds of each model, one thread, rounds interleaved (ABBA) so that drift hits all alike."""
    for model in models:
        for _ in range(3):
            model(batch)
    samples: list[list[int]] = [[] for _ in models]
    order = list(range(len(models)))
    for _ in range(ROUNDS):
        for i in order:
            for _ in range(CALLS_PER_ROUND):
                start = time.perf_counter_ns()
                models[i](batch)
                samples[i].append(time.perf_counter_ns() - start)
        order.reverse()
    return [statistics.median(each) / 1e6 for each in samples]
