"""distilled: a small student taught by the subject's model (Hinton, Vinyals & Dean 2015, arXiv 1503.02531)."""

from __future__ import annotations

from dataclasses import replace

from edgedeploy.artifact import Claim
from edgedeploy.errors import UserError
from exporter.operators.base import Draft, Facts
from exporter.subjects.base import Progress, Subject, Weights


class Distilled:
    """The subject's student, distilled from its model. The loss and its temperature are the subject's recipe."""

    name = "distilled"
    summary = "a smaller student, taught by the model"

    def extend(self, draft: Draft) -> Draft:
        """Adds the float transform `distilled`."""
        if self.name in draft.transforms:
            raise UserError(f"--op {draft.asked}: a model is distilled once")
        return replace(draft, transforms=(*draft.transforms, self.name))

    def refuses(self, subject: Subject) -> str | None:
        """Why this subject cannot be distilled, None where it can."""
        if subject.student is not None:
            return None
        return (
            f"subject {subject.name} has no student, so it cannot be distilled; give its Subject a `student`, "
            "or use an operator that needs none (--op identity, --op sptq)"
        )

    def transform(self, subject: Subject, weights: Weights, *, retrain: bool, progress: Progress | None) -> Weights:
        """The distilled student. Raises UserError for a subject without one."""
        if subject.student is None:
            raise UserError(self.refuses(subject))
        return subject.student.distilled(weights.model, retrain=retrain, progress=progress)

    def claims(self, facts: Facts) -> list[Claim]:
        """Teacher and student are named and differ; the student has fewer parameters and fewer MACs."""
        named = bool(facts.original.digest and facts.made.digest) and facts.original.digest != facts.made.digest
        return [
            Claim(
                name="teacher and student",
                holds=named,
                detail=f"teacher {facts.original.digest[:12]} ({facts.original.origin}), "
                f"student {facts.made.digest[:12]} ({facts.made.origin})",
            ),
            Claim(
                name="fewer parameters",
                holds=facts.made_parameters < facts.original_parameters,
                detail=f"{facts.made_parameters:,} of {facts.original_parameters:,}",
            ),
            Claim(
                name="fewer MACs",
                holds=facts.made_macs < facts.original_macs,
                detail=f"{facts.made_macs:,} of {facts.original_macs:,}",
            ),
        ]


operator = Distilled()
