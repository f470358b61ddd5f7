"""What an operator is: a step added to a recipe, and the claims an artifact made under it must keep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from edgedeploy.artifact import Claim, Coverage, Precision
from edgedeploy.signature import TensorSpec
from exporter.subjects.base import Progress, Subject, Weights

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Draft:
    """A recipe being put together. The order of the steps is the canonical one, whatever order was typed."""

    asked: str
    transforms: tuple[str, ...] = ()
    cut: bool = False
    precision: Precision = "fp32"


@dataclass(frozen=True)
class Facts:
    """What is known of one artifact when its claims are checked.

    original, made: the subject's own model and the float model this artifact was lowered from.
    coverage: what became of the heavy operators, of all stages; scheme: how it was quantised.
    made_bytes, float_bytes, original_bytes: of the model files of this artifact, of its float twin, and of the subject's own
        model lowered in float on the same runtime (None where that failed).
    made_ms, original_ms: host medians of this artifact and of the latter, interleaved; None where the target is another CPU,
        or they were not needed.
    stages: what each stage of a partitioned model is; None where it is whole.
    """

    original: Weights
    made: Weights
    original_parameters: int
    made_parameters: int
    original_macs: int
    made_macs: int
    coverage: Coverage
    scheme: dict[str, Any] = field(default_factory=dict)
    made_bytes: int = 0
    float_bytes: int = 0
    original_bytes: int | None = None
    made_ms: float | None = None
    original_ms: float | None = None
    stages: Stages | None = None


@dataclass(frozen=True)
class Stages:
    """The stages of a partitioned artifact. macs: of each, in float. crossing: tensors as they travel.

    unequal: tensors that their two ends hold in another type or scale. gap, bound: the largest difference between the float
    stages composed and the whole float model, both on this runtime and on the golden inputs, and the one that is allowed.
    """

    macs: tuple[int, ...]
    crossing: tuple[TensorSpec, ...]
    unequal: tuple[str, ...]
    gap: float
    bound: float


class Operator(Protocol):
    """One operator, one file.

    name: as typed after --op. summary: one line for help and errors.
    """

    name: str
    summary: str

    def extend(self, draft: Draft) -> Draft:
        """The draft with this operator's step added. Raises UserError when it does not go with what is there."""
        ...

    def claims(self, facts: Facts) -> list[Claim]:
        """What this operator promises, each with how it was found to hold or not."""
        ...


class Transform(Operator, Protocol):
    """An operator that changes the float model."""

    def transform(self, subject: Subject, weights: Weights, *, retrain: bool, progress: Progress | None) -> Weights:
        """The changed model, in eval mode, with the same signature. Raises UserError where the subject cannot."""
        ...


def parameter_count(model: nn.Module) -> int:
    """How many parameters a model has, each shared one counted once."""
    return sum(parameter.numel() for parameter in model.parameters())
