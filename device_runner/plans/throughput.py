"""Several streams at once, each a session of its own in one process: how many inferences a second, and their latency then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from device_runner.plans.mode import Mode

if TYPE_CHECKING:
    from device_runner.samples import Samples

MODE = Mode(
    "throughput", "several streams side by side (--streams): inferences a second, and latency under that load",
    {"launches": 5, "warmup_count": 5, "warmup_ms": 500.0, "min_count": 50, "min_ms": 5000.0, "streams": 2},
    metric="inferences_per_sec",
    # of each stream; all have their room before the first is timed
    most_samples=2**18,
)  # fmt: skip


def per_second(samples: Samples) -> float | None:
    """Inferences a second of all streams together, while all were at work: latest start to earliest end.

    One that reaches over an end of that counts by its part inside. None where there is no such time, or one stream alone.
    """
    import numpy as np

    if not len(samples.streams):
        return None
    steady = samples.steady
    starts, ends = steady[:, 0], steady.sum(axis=1)
    streams = np.unique(samples.streams)
    begin = max(int(starts[samples.streams == stream].min()) for stream in streams)
    end = min(int(ends[samples.streams == stream].max()) for stream in streams)
    if end <= begin:
        return None
    inside = np.clip(np.minimum(ends, end) - np.maximum(starts, begin), 0, None)
    return float((inside / steady[:, 1]).sum() / ((end - begin) / 1e9))
