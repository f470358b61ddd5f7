"""int8-dynamic: int8 weights per channel, activations quantised as the model runs; nothing is calibrated."""

from __future__ import annotations

from dataclasses import replace

from edgedeploy.artifact import Claim
from edgedeploy.errors import UserError
from exporter.operators import stored_claims
from exporter.operators.base import Draft, Facts
from exporter.operators.sptq import int8_kernels


class Int8Dynamic:
    """Dynamic int8: ranges follow the input, at the price of finding them in every call."""

    name = "int8-dynamic"
    summary = "int8 weights, activations quantised at run time, not calibrated"

    def extend(self, draft: Draft) -> Draft:
        """Sets the precision. Raises UserError where another is set."""
        if draft.precision != "fp32":
            raise UserError(f"--op {draft.asked}: quantised twice; leave one of the precisions out")
        return replace(draft, precision="int8-dynamic")

    def claims(self, facts: Facts) -> list[Claim]:
        """The heavy operators compute in int8; weights are int8 in the file, which is at most about four tenths as large."""
        return [
            int8_kernels(facts),
            stored_claims.weights(facts, "int8"),
            stored_claims.smaller(facts, share=0.4),
        ]


operator = Int8Dynamic()
