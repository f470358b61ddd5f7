"""How long each operator of a float graph takes on this host: eager torch, one thread, one example."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

from exporter.partition.graph import Graph

if TYPE_CHECKING:
    import torch
    from torch import fx

ROUNDS = 12
WARMUP = 3


def operators_ms(graph: Graph, example: tuple[torch.Tensor, ...]) -> list[float]:
    """Median milliseconds of each operator of `Graph.computed`, in order.

    Eager torch adds some microseconds to every operator, which a runtime that fuses them does not: the profile is of how
    the work is spread over the graph, and the caller scales it to what the whole takes.
    """
    import torch
    from torch import fx

    samples: dict[str, list[int]] = {node.name: [] for node in graph.computed}

    class Timing(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            start = time.perf_counter_ns()
            result = super().run_node(n)
            if n.name in samples:
                samples[n.name].append(time.perf_counter_ns() - start)
            return result

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            interpreter = Timing(graph.module, garbage_collect_values=False)
            for _ in range(WARMUP + ROUNDS):
                interpreter.run(*example)
    finally:
        torch.set_num_threads(before)
    return [statistics.median(samples[node.name][WARMUP:]) / 1e6 for node in graph.computed]
