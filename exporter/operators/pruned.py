"""pruned: whole channels, feed-forward neurons and attention heads taken out, and the rest trained further.

Not zeros in dense shapes, which save neither bytes nor time: the layers get smaller.
"""

from __future__ import annotations

from dataclasses import replace

from edgedeploy.artifact import Claim
from edgedeploy.errors import UserError
from exporter.operators.base import Draft, Facts
from exporter.subjects.base import Progress, Subject, Weights


class Pruned:
    """The model it is given, smaller, with the unpruned model as teacher. How much goes is the subject's recipe."""

    name = "pruned"
    summary = "whole channels and heads taken out, then trained further"

    def extend(self, draft: Draft) -> Draft:
        """Adds the float transform `pruned`."""
        if self.name in draft.transforms:
            raise UserError(f"--op {draft.asked}: a model is pruned once")
        return replace(draft, transforms=(*draft.transforms, self.name))

    def refuses(self, subject: Subject) -> str | None:
        """Why this subject cannot be trained after pruning, None where it can."""
        from exporter.training.trainable import require_trainable

        try:
            require_trainable(subject, "pruned")
        except UserError as error:
            return str(error)
        return None

    def transform(self, subject: Subject, weights: Weights, *, retrain: bool, progress: Progress | None) -> Weights:
        """The pruned and trained model. Raises UserError where nothing can be pruned, or there is nothing to train on."""
        from exporter.training.prune import pruned, pruned_plan
        from exporter.training.prune_recipes import prune_recipe

        recipe = prune_recipe(subject)
        plan = pruned_plan(subject, weights.model, recipe.pruning, recipe.train, recipe.shipped)
        made = pruned(plan, weights.model, retrain, progress)
        # what was pruned may itself have been made by a transform, whose recipe must not be lost
        before = {"pruned_from": {"digest": weights.digest, **weights.recipe}} if weights.recipe else {}
        return replace(made, recipe={**made.recipe, **before})

    def claims(self, facts: Facts) -> list[Claim]:
        """Fewer parameters, fewer MACs, a smaller file, and where this host is the target a lower median."""
        claims = [
            Claim(
                name="fewer parameters after pruning",
                holds=facts.made_parameters < facts.original_parameters,
                detail=f"{facts.made_parameters:,} of {facts.original_parameters:,}",
            ),
            Claim(
                name="fewer MACs after pruning",
                holds=facts.made_macs < facts.original_macs,
                detail=f"{facts.made_macs:,} of {facts.original_macs:,}",
            ),
        ]
        # float against float, so that a smaller file is pruning's doing and not int8's
        if facts.original_bytes is not None:
            claims.append(
                Claim(
                    name="smaller file after pruning",
                    holds=facts.float_bytes < facts.original_bytes,
                    detail=f"{facts.float_bytes:,} bytes in float, {facts.original_bytes:,} without pruning",
                )
            )
        if facts.made_ms is not None and facts.original_ms is not None:
            claims.append(
                Claim(
                    name="lower median after pruning",
                    holds=facts.made_ms < facts.original_ms,
                    detail=f"{facts.made_ms:.3f} ms, the subject's own model in float {facts.original_ms:.3f} ms "
                    "(this host, one thread, interleaved)",
                )
            )
        return claims


operator = Pruned()
