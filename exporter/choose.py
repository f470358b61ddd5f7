"""Which int8 scheme and calibration method: measured on the validation set, not taken from habit.

Kept is the one whose answers are nearest to the float model's. Accuracy is in the manifest too, but does not decide: on a
thousand examples two methods differ by a handful of them, which is chance. By it fashion-lite2 got the method that then lost
0.67 to 0.80 points of 10,000 examples, where the others lost 0.09 to 0.14; their divergences were a fifth of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
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
#: divergences up to here are as good as none: most int8 models of real ones have 0.001 to 0.03, the nearest 0.00009
NEGLIGIBLE_NATS = 1e-4
#: how far from 1 the float model's probabilities add up to
SUM_TOLERANCE = 1e-3
#: where an int8 softmax has a 0, the logarithm is of this
LEAST_PROBABILITY = 1e-5


@dataclass(frozen=True)
class Candidate:
    """One way to quantise and how it did on the validation set.

    stages: empty where it could not be lowered. mean_abs: error of the first output. divergence: see `divergence`, None
    where that output is no classes' scores.
    """

    scheme: str
    method: CalibrationMethod
    stages: tuple[Lowered, ...]
    accuracy: float
    mean_abs: float
    divergence: float | None = None
    error: str = ""

    @property
    def distance(self) -> float:
        """From the float model: what decides."""
        return self.mean_abs if self.divergence is None else max(self.divergence, NEGLIGIBLE_NATS)

    def entry(self) -> dict[str, Any]:
        """For the manifest."""
        if not self.stages:
            return {"scheme": self.scheme, "method": self.method, "error": self.error}
        # of any size: a model that is sure of its classes has tiny ones
        apart = {} if self.divergence is None else {"divergence_nats": float(f"{self.divergence:.6g}")}
        return {
            "scheme": self.scheme, "method": self.method,
            "accuracy": round(self.accuracy, 5), **apart, "mean_abs_error": round(self.mean_abs, 6),
        }  # fmt: skip


def divergence(reference: npt.NDArray[Any], scores: npt.NDArray[Any]) -> float:
    """Mean Kullback-Leibler divergence (nats) of what `scores` says from what `reference` says, both [n, classes].

    They are logits, except where the rows of `reference` are probabilities already: a network that ends in a softmax.
    Infinite where either holds what is not finite.
    """
    if not (np.isfinite(reference).all() and np.isfinite(scores).all()):
        return float("inf")
    import torch
    from torch.nn import functional

    ours, theirs = (torch.from_numpy(each.astype(np.float64)) for each in (scores, reference))
    if bool((theirs >= 0).all()) and bool((theirs.sum(dim=-1) - 1).abs().max() < SUM_TOLERANCE):
        ours, theirs = (each.clamp(min=LEAST_PROBABILITY).log() for each in (ours, theirs))
    # of logarithms of probabilities too: an int8 softmax does not quite add up to 1
    ours, theirs = (functional.log_softmax(each, dim=-1) for each in (ours, theirs))
    return float(functional.kl_div(ours, theirs, reduction="batchmean", log_target=True))


def best(
    lowering: Lowering,
    validation: Split,
    float_logits: npt.NDArray[Any],
    scratch: Path,
    methods: tuple[CalibrationMethod, ...] = CALIBRATION_METHODS,
) -> tuple[tuple[Lowered, ...], list[Candidate]]:
    """Lower by every scheme and method, keep the nearest to the float model on `validation`; a tie goes to the more accurate.

    A work with trained ranges is lowered with those alone, whatever methods are asked for: its weights fit them.
    float_logits: what the float model says of the first JUDGED_ON validation examples, [n, classes].
    Where the subject has no classes the smaller mean error decides. Raises the first candidate's UserError when none lowers.
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
                candidates.append(Candidate(scheme, method, (), -1.0, float("inf"), error=str(stages)))
                continue
            chain = open_chain(runtime, stages, lowering.outputs)
            label = f"{runtime.name}: int8 {scheme}, {method}: validating"
            logits = verify.run_one_by_one(chain, judged, label, work.progress)[primary]
            wanted = float_logits[: len(judged)]
            gap = float(np.abs(logits.astype(np.float64) - wanted).mean())
            score, apart = 0.0, None
            if work.signature.metric == "top1":
                score, apart = float(metrics.top1(logits, judged.labels).mean()), divergence(wanted, logits)
            error = gap if np.isfinite(gap) else float("inf")
            candidates.append(Candidate(scheme, method, stages, score, error, apart))
    usable = [candidate for candidate in candidates if candidate.stages]
    if not usable:
        assert failure is not None  # schemes() gives at least one
        raise failure
    return nearest(usable).stages, candidates


def nearest(candidates: Sequence[Candidate]) -> Candidate:
    """The one that is kept; of equally near ones the more accurate, then the one with the smaller mean error."""
    return min(candidates, key=lambda candidate: (candidate.distance, -candidate.accuracy, candidate.mean_abs))
