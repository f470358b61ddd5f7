"""Three short launches: to see that it works, not to compare."""

from __future__ import annotations

from device_runner.plans.mode import Mode

MODE = Mode(
    "quick", "3 short launches: to see that it works, not to compare",
    {"launches": 3, "warmup_count": 3, "warmup_ms": 50.0, "min_count": 20, "min_ms": 200.0},
)  # fmt: skip
