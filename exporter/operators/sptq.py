"""sptq: static post-training quantisation to int8, per-channel weights, ranges calibrated on real data."""

from __future__ import annotations

from dataclasses import replace

from edgedeploy.artifact import Claim
from edgedeploy.errors import UserError
from exporter.operators.base import Draft, Facts

#: below this share of the MACs in int8 an artifact may not be called int8
MIN_INT8_SHARE = 0.5


class Sptq:
    """Static int8. The lowering is each runtime's own; which calibration method is best is measured, not assumed."""

    name = "sptq"
    summary = "static post-training int8, not trained"

    def extend(self, draft: Draft) -> Draft:
        """Sets the precision."""
        if draft.precision != "fp32":
            raise UserError(f"--op {draft.asked}: quantised twice")
        return replace(draft, precision="int8-static")

    def claims(self, facts: Facts) -> list[Claim]:
        """The heavy operators compute in int8; what stayed in float is listed."""
        return int8_claims(facts)


def int8_kernels(facts: Facts) -> Claim:
    """The heavy operators compute in int8; what stayed in float is listed."""
    left = [op for op in facts.coverage.heavy if op.compute != "int8"]
    listed = ", ".join(f"{op.kind} {op.name} ({op.macs:,} MACs)" for op in sorted(left, key=lambda op: -op.macs)[:8])
    more = f" and {len(left) - 8} more" if len(left) > 8 else ""
    return Claim(
        name="int8 kernels",
        holds=facts.coverage.int8_share >= MIN_INT8_SHARE,
        detail=f"{facts.coverage.int8_share:.1%} of the MACs in int8; in float: {listed + more or 'none'}",
    )


def int8_claims(facts: Facts) -> list[Claim]:
    """The heavy operators compute in int8, with weights per channel."""
    weights = str(facts.scheme.get("weights"))
    return [
        int8_kernels(facts),
        Claim(name="weights per channel", holds=weights.startswith("int8 per channel"), detail=weights),
    ]


operator = Sptq()
