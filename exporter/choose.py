"""Which int8 scheme and calibration method: measured on the validation set, not taken from habit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgedeploy import metrics
from edgedeploy.errors import UserError
from exporter import verify
from exporter.lower import Lowering, open_chain
from exporter.runtimes.base import CALIBRATION_METHODS, CalibrationMethod, Lowered
from exporter.subjects.base import Split

#: examples a candidate is judged on; the validation set's first, so that every candidate sees the same
JUDGED_ON = 1000


@dataclass(frozen=True)
class Candidate:
    """One way to quantise and how it did on the validation set. stages: empty where it could not be lowered."""

    scheme: str
    method: CalibrationMethod
    stages: tuple[Lowered, ...]
    accuracy: float
    mean_abs: float
    error: str = ""

    def entry(self) -> dict[str, Any]:
        """For the manifest."""
        if not self.stages:
            return {"scheme": self.scheme, "method": self.method, "error": self.error}
        return {
            "scheme": self.scheme, "method": self.method,
            "accuracy": round(self.accuracy, 5), "mean_abs_error": round(self.mean_abs, 6),
        }  # fmt: skip


def best(
    lowering: Lowering,
    validation: Split,
    float_logits: npt.NDArray[Any],
    scratch: Path,
    methods: tuple[CalibrationMethod, ...] = CALIBRATION_METHODS,
) -> tuple[tuple[Lowered, ...], list[Candidate]]:
    """Lower by every scheme and method, keep the most accurate on `validation`; a tie goes to the smaller error.

    A work with trained ranges is lowered with those alone, whatever methods are asked for: its weights fit them.
    float_logits: what the float model says of the first JUDGED_ON validation examples, [n, classes].
    Where the subject has no metric the smaller error alone decides. Raises the first candidate's UserError when none lowers.
    """
    judged = validation.take(np.arange(min(JUDGED_ON, len(validation), len(float_logits))))
    runtime, work = lowering.runtime, lowering.whole
    if work.trained:
        methods = ("trained",)
    primary = work.signature.outputs[0].name
    candidates: list[Candidate] = []
    failure: UserError | None = None
    for scheme in runtime.schemes(work):
        for method, stages in lowering.lower_int8(scheme, methods, scratch).items():
            if isinstance(stages, UserError):
                failure = failure or stages
                candidates.append(Candidate(scheme, method, (), -1.0, float("inf"), str(stages)))
                continue
            chain = open_chain(runtime, stages, lowering.outputs)
            label = f"{runtime.name}: int8 {scheme}, {method}: validating"
            logits = verify.run_one_by_one(chain, judged, label, work.progress)[primary]
            gap = float(np.abs(logits.astype(np.float64) - float_logits[: len(judged)]).mean())
            score = float(metrics.top1(logits, judged.labels).mean()) if work.signature.metric == "top1" else 0.0
            candidates.append(Candidate(scheme, method, stages, score, gap if np.isfinite(gap) else float("inf")))
    usable = [candidate for candidate in candidates if candidate.stages]
    if not usable:
        assert failure is not None  # schemes() gives at least one
        raise failure
    return min(usable, key=lambda candidate: (-candidate.accuracy, candidate.mean_abs)).stages, candidates
