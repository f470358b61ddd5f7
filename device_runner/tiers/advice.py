"""The predicted time of each candidate from what was measured apart (its stages, the link), and what came of the prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from device_runner.tiers.candidates import Candidate
from edgedeploy.errors import UserError

#: a predicted best that takes at most so much longer than the measured best is right enough to go by
WITHIN = 0.10


@dataclass(frozen=True)
class LinkFigures:
    """rtt_ms: there and back, of an empty frame. Rates in Mbit/s (10^6), None: too fast to say. origin: for people."""

    rtt_ms: float
    up_mbit_s: float | None
    down_mbit_s: float | None
    origin: str

    def way_ms(self, nbytes: int, mbit_s: float | None) -> float:
        """What so many bytes take one way."""
        return self.rtt_ms / 2 + (nbytes * 8 / (mbit_s * 1000) if mbit_s else 0.0)


@dataclass(frozen=True)
class Work:
    """What the stages of a candidate take on one device, with the adapters of what crosses. runs: where that was measured."""

    ms: float
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prediction:
    """Milliseconds of one inference, by where they go."""

    candidate: Candidate
    near_ms: float
    there_ms: float
    far_ms: float
    back_ms: float
    runs: tuple[str, ...] = ()

    @property
    def total_ms(self) -> float:
        return self.near_ms + self.there_ms + self.far_ms + self.back_ms

    def entry(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "candidate": self.candidate.name, "bundle": str(self.candidate.bundle.path), "digest": self.candidate.bundle.digest,
            "split": self.candidate.split, "near_ms": self.near_ms, "there_ms": self.there_ms, "far_ms": self.far_ms,
            "back_ms": self.back_ms, "total_ms": self.total_ms, "sent_bytes": self.candidate.sent_bytes,
            "received_bytes": self.candidate.received_bytes, "runs": list(self.runs),
        }  # fmt: skip


def predict(candidate: Candidate, near: Work | None, far: Work | None, link: LinkFigures) -> Prediction:
    """near, far: None where nothing of the candidate runs there."""
    there = link.way_ms(candidate.sent_bytes, link.up_mbit_s) if candidate.crosses else 0.0
    back = link.way_ms(candidate.received_bytes, link.down_mbit_s) if candidate.crosses else 0.0
    works = [work for work in (near, far) if work is not None]
    runs = tuple(run for work in works for run in work.runs)
    return Prediction(candidate, near.ms if near else 0.0, there, far.ms if far else 0.0, back, runs)


def ranked(predictions: Sequence[Prediction]) -> list[Prediction]:
    """The fastest first; of equal ones the one that sends less."""
    return sorted(predictions, key=lambda each: (each.total_ms, each.candidate.sent_bytes))


@dataclass(frozen=True)
class Verdict:
    """Whether to go by the prediction: its best, measured, against the best that was measured."""

    predicted_best: str
    measured_best: str
    #: measured time of the predicted best over that of the measured best, at least 1
    ratio: float

    @property
    def holds(self) -> bool:
        return self.ratio <= 1 + WITHIN

    def __str__(self) -> str:
        if self.predicted_best == self.measured_best:
            return f"the predicted best is the measured best: {self.predicted_best}"
        within = f"within {100 * WITHIN:.0f} %" if self.holds else f"over {100 * WITHIN:.0f} %, so do not go by the prediction"
        return (
            f"the predicted best ({self.predicted_best}) takes {100 * (self.ratio - 1):.1f} % longer than the measured best "
            f"({self.measured_best}): {within}"
        )


def judged(order: Sequence[Prediction], measured_ms: Mapping[str, float]) -> Verdict:
    """order: `ranked`. measured_ms: by candidate, end to end. Raises UserError where the predicted best is not in it."""
    best = order[0].candidate.name
    if best not in measured_ms:
        raise UserError(f"the predicted best ({best}) has no valid run, so nothing can be said of the prediction")
    fastest = min(measured_ms, key=lambda name: measured_ms[name])
    return Verdict(best, fastest, measured_ms[best] / measured_ms[fastest])
