"""How an artifact is measured: one file per mode, each a set of defaults, the rules it must keep, and what it reports."""

from __future__ import annotations

from device_runner.plans import mlperf, quick, standard, sustained, throughput
from device_runner.plans.mode import Mode

MODES: dict[str, Mode] = {mode.MODE.name: mode.MODE for mode in (quick, standard, mlperf, sustained, throughput)}

__all__ = ["MODES", "Mode"]
