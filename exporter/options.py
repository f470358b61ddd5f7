"""What an export can be told besides operator, subject and runtime."""

from __future__ import annotations

from dataclasses import dataclass, field

from exporter.partition.division import CutRequest
from exporter.runtimes.base import CALIBRATION_METHODS, CalibrationMethod


@dataclass(frozen=True)
class Options:
    """The same for every artifact of an export.

    target: the instruction set to lower for. calibration_samples, methods: of static int8.
    max_points: accuracy an int8 lowering may lose against the float model it was made from. cut: where `partition` cuts.
    """

    target: str
    calibration_samples: int = 256
    methods: tuple[CalibrationMethod, ...] = CALIBRATION_METHODS
    max_points: float = 3.0
    cut: CutRequest = field(default_factory=CutRequest)
