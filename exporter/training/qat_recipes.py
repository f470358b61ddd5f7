"""How each family of models is trained quantisation-aware."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.subjects.base import Subject
from exporter.training.obtain import Shipped
from exporter.training.recipe import Recipe


@dataclass(frozen=True)
class ShortRecipe(Recipe):
    """A recipe that ends after `extra["steps"]` steps, if its epochs have not ended before: a trained model needs few."""

    def steps(self, examples: int) -> int:
        """Optimiser steps of the whole run."""
        return min(super().steps(examples), int(self.extra["steps"]))


@dataclass(frozen=True)
class QatRecipe:
    """The training, and the weights that ship with edgedeploy, if any.

    `train.extra` has, beside what tune_plan reads, "freeze": the share of the steps, the last ones, in which ranges and
    batch norm statistics stay as they are.
    """

    train: ShortRecipe
    shipped: Shipped | None = None


_CONVOLUTIONAL = QatRecipe(
    ShortRecipe(epochs=2, batch=64, lr=1e-4, warmup=0.1, extra={"steps": 400, "freeze": 0.4, "temperature": 2.0, "alpha": 0.7})
)
_TRANSFORMER = QatRecipe(
    ShortRecipe(epochs=2, batch=32, lr=2e-5, warmup=0.1, extra={"steps": 400, "freeze": 0.4, "temperature": 2.0, "alpha": 0.7})
)
_BY_SUBJECT: dict[str, QatRecipe] = {}


def qat_recipe(subject: Subject) -> QatRecipe:
    """The subject's own recipe where it has been looked for, else that of its family."""
    family = _TRANSFORMER if subject.quantise == "transformer" else _CONVOLUTIONAL
    return _BY_SUBJECT.get(subject.name, family)
