"""Several streams at once, each a session of its own in one process: how many inferences a second, and their latency then."""

from __future__ import annotations

from device_runner.plans.mode import Mode

MODE = Mode(
    "throughput", "several streams side by side (--streams): inferences a second, and latency under that load",
    {"launches": 5, "warmup_count": 5, "warmup_ms": 500.0, "min_count": 50, "min_ms": 5000.0, "streams": 2},
    metric="inferences_per_sec",
)  # fmt: skip
