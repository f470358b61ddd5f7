"""identity: the subject's model as it is, in float. What everything else is compared with."""

from __future__ import annotations

from edgedeploy.artifact import Claim
from exporter.operators.base import Draft, Facts


class Identity:
    """The model as it is."""

    name = "identity"
    summary = "the model as it is, fp32"

    def extend(self, draft: Draft) -> Draft:
        """Adds nothing."""
        return draft

    def claims(self, facts: Facts) -> list[Claim]:
        """The same weights as the subject's own."""
        same = facts.original.digest == facts.made.digest
        return [Claim(name="same weights", holds=same, detail=f"weights {facts.made.digest[:12]}")]


operator = Identity()
