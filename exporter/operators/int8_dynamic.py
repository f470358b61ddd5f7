"""int8-dynamic: int8 weights per channel, activations quantised as the model runs; nothing is calibrated."""

from __future__ import annotations

from dataclasses import replace

from edgedeploy.artifact import Claim
from edgedeploy.errors import UserError
from exporter.operators import stored_claims
from exporter.operators.base import Draft, Facts
from exporter.operators.sptq import MIN_INT8_SHARE


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
        left = sorted((op for op in facts.coverage.heavy if op.compute != "int8"), key=lambda op: -op.macs)
        listed = ", ".join(f"{op.kind} {op.name} ({op.macs:,} MACs)" for op in left[:8])
        more = f" and {len(left) - 8} more" if len(left) > 8 else ""
        return [
            Claim(
                name="int8 kernels",
                holds=facts.coverage.int8_share >= MIN_INT8_SHARE,
                detail=f"{facts.coverage.int8_share:.1%} of the MACs in int8; in float: {listed + more or 'none'}",
            ),
            stored_claims.weights(facts, "int8"),
            stored_claims.smaller(facts, share=0.4),
        ]


operator = Int8Dynamic()
