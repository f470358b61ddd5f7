"""The single-stream scenario of MLPerf's rules for mobile: at least 1,024 inferences and 60 s, reported as the 90th percentile.

The rules are MLCommons' (mobile_inference_rules, "single stream"); a run here is not a submission: neither their load
generator nor their data is used, and nothing was reviewed. Three launches, since one says nothing of how launches differ.
"""

from __future__ import annotations

from device_runner.plans.mode import Mode

MODE = Mode(
    "mlperf", "MLPerf's single-stream rules for mobile: 1,024 inferences and 60 s at least; its number is the p90",
    {"launches": 3, "warmup_count": 5, "warmup_ms": 200.0, "min_count": 1024, "min_ms": 60_000.0, "max_seconds": 720.0},
    least={"min_count": 1024, "min_ms": 60_000.0},
    metric="p90_ms",
    lasts=True,
    leaves_out=False,
    most_samples=2**22,
)  # fmt: skip
