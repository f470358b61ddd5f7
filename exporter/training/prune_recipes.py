"""How much each subject is pruned and how it is trained after, chosen on the validation sets; and what ships of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from exporter.subjects.base import Subject
from exporter.training.obtain import Shipped
from exporter.training.prune import Pruning
from exporter.training.recipe import Recipe


@dataclass(frozen=True)
class PruneRecipe:
    """What goes, the training after, and the weights that ship with edgedeploy, if any."""

    pruning: Pruning
    train: Recipe
    shipped: Shipped | None = None


_CONVOLUTIONAL = PruneRecipe(Pruning(macs=0.45), Recipe(epochs=2, batch=128, lr=1e-3, extra={"temperature": 4.0, "alpha": 0.7}))
_TRANSFORMER = PruneRecipe(
    Pruning(macs=0.4, multiple=32),
    Recipe(epochs=3, batch=32, lr=1.5e-4, precision="bfloat16", extra={"temperature": 2.0, "alpha": 0.7}),
)


def _shipped(recipe: PruneRecipe, subject: str, sha256: str) -> PruneRecipe:
    return replace(recipe, shipped=Shipped(f"{subject}-pruned.safetensors", sha256))


_BY_SUBJECT: dict[str, PruneRecipe] = {
    "fashion-lite0": _shipped(
        _CONVOLUTIONAL, "fashion-lite0", "485701dc8fe127396440bb306cc63c1b0d05e1fcaebf7a6c10e027b915391c58"
    ),
    "fashion-lite2": _shipped(
        _CONVOLUTIONAL, "fashion-lite2", "00c00e70d48f430f3f849ef2480d2a29dcbd991cb7ede8ce2974ce51abaff5a0"
    ),
    "film-minilm": _shipped(_TRANSFORMER, "film-minilm", "013594bdd418ed7833cc15ee34ef9078e9b1b3fc048f78d7c1aba9885b595d0a"),
    "news-minilm": _shipped(_TRANSFORMER, "news-minilm", "9b6a56e1dc46955e59331758e92c5d7107bda8a131d239f6bedce5aeb6a7fba8"),
}


def prune_recipe(subject: Subject) -> PruneRecipe:
    """The subject's own recipe where it has been looked for, else that of its family."""
    family = _TRANSFORMER if subject.quantise == "transformer" else _CONVOLUTIONAL
    return _BY_SUBJECT.get(subject.name, family)
