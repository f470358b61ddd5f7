"""fp16: weights in half precision, and the computing too where the runtime has kernels for it that are worth it."""

from __future__ import annotations

from dataclasses import replace

from edgedeploy.artifact import Claim
from edgedeploy.errors import UserError
from exporter.operators import stored_claims
from exporter.operators.base import Draft, Facts


class Fp16:
    """Half precision. What computes in half and what does not is in the coverage; the ends stay float32."""

    name = "fp16"
    summary = "weights in half precision, not trained"

    def extend(self, draft: Draft) -> Draft:
        """Sets the precision. Raises UserError where another is set."""
        if draft.precision != "fp32":
            raise UserError(f"--op {draft.asked}: quantised twice; leave one of the precisions out")
        return replace(draft, precision="fp16")

    def claims(self, facts: Facts) -> list[Claim]:
        """Weights are half in the file, which is about half as large as the float one."""
        return [stored_claims.weights(facts, "float16"), stored_claims.smaller(facts, share=0.6)]


operator = Fp16()
