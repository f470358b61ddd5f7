"""What is measured when nothing else is said."""

from __future__ import annotations

from device_runner.plans.mode import Mode

MODE = Mode(
    "standard", "5 launches of a second each",
    {"launches": 5, "warmup_count": 5, "warmup_ms": 200.0, "min_count": 100, "min_ms": 1000.0},
)  # fmt: skip
