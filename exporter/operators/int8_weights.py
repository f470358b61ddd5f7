"""int8-weights: the file holds its weights in int8 per channel, activations are float; nothing is calibrated."""

from __future__ import annotations

from dataclasses import replace

from edgedeploy.artifact import Claim
from edgedeploy.errors import UserError
from exporter.operators import stored_claims
from exporter.operators.base import Draft, Facts


class Int8Weights:
    """A small file. What the runtime computes in, and whether that is faster, is the runtime's: see the coverage."""

    name = "int8-weights"
    summary = "weights in int8, activations in float, not calibrated"

    def extend(self, draft: Draft) -> Draft:
        """Sets the precision. Raises UserError where another is set."""
        if draft.precision != "fp32":
            raise UserError(f"--op {draft.asked}: quantised twice; leave one of the precisions out")
        return replace(draft, precision="int8-weights")

    def claims(self, facts: Facts) -> list[Claim]:
        """Weights are int8 in the file, which is at most about four tenths as large as the float one."""
        return [stored_claims.weights(facts, "int8"), stored_claims.smaller(facts, share=0.4)]


operator = Int8Weights()
