"""qat: quantisation-aware training; one training run, whose weights and activation ranges every runtime takes over."""

from __future__ import annotations

from dataclasses import replace

from edgedeploy.artifact import Claim
from edgedeploy.errors import UserError
from exporter.operators import sptq
from exporter.operators.base import Draft, Facts
from exporter.subjects.base import Progress, Subject, Weights

#: share of an artifact's int8 activations that must have a trained range; the rest has a calibrated one
LEAST_TRAINED = 0.5


class Qat:
    """The model it is given, trained as int8 would compute it, and then quantised statically with the trained ranges."""

    name = "qat"
    summary = "static int8, trained to be quantised"

    def extend(self, draft: Draft) -> Draft:
        """Adds the float transform `qat` and sets the precision."""
        if draft.precision != "fp32" or self.name in draft.transforms:
            raise UserError(f"--op {draft.asked}: quantised twice; leave one of the precisions out")
        return replace(draft, transforms=(*draft.transforms, self.name), precision="int8-static")

    def refuses(self, subject: Subject) -> str | None:
        """Why this subject cannot be trained, None where it can."""
        from exporter.training.trainable import require_trainable

        try:
            require_trainable(subject, "trained for int8")
        except UserError as error:
            return str(error)
        return None

    def transform(self, subject: Subject, weights: Weights, *, retrain: bool, progress: Progress | None) -> Weights:
        """The trained model with its ranges. Raises UserError where there is nothing to train on."""
        from exporter.training.qat import qat
        from exporter.training.qat_recipes import qat_recipe

        made = qat(subject, weights.model, qat_recipe(subject), retrain, progress)
        # what was trained may itself have been made by a transform, whose recipe must not be lost
        before = {"qat_from": {"digest": weights.digest, **weights.recipe}} if weights.recipe else {}
        return replace(made, recipe={**made.recipe, **before})

    def claims(self, facts: Facts) -> list[Claim]:
        """Those of static int8; the weights were trained, and the trained ranges are in the artifact."""
        source = str(facts.made.recipe.get("trained_from"))
        share = float(facts.scheme.get("trained_share", 0.0))
        return [
            *sptq.int8_claims(facts),
            Claim(
                name="weights trained",
                holds=bool(facts.made.ranges) and facts.made.digest not in (source, facts.original.digest),
                detail=f"weights {facts.made.digest[:12]}, trained from {source[:12]}",
            ),
            Claim(
                name="trained ranges",
                holds=share >= LEAST_TRAINED,
                detail=f"{facts.scheme.get('trained_ranges', 'none')} of this artifact in int8 have their trained range",
            ),
        ]


operator = Qat()
