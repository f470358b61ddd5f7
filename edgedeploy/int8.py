"""Why an int8 artifact may be no faster than its float twin."""

from __future__ import annotations

from edgedeploy.artifact import Coverage


def reason(coverage: Coverage, target: str) -> str:
    """Why an int8 artifact may be slower than its float twin, from what became of its graph."""
    reasons = []
    left = [op for op in coverage.heavy if op.compute != "int8"]
    if left:
        share = sum(op.macs for op in left) / max(coverage.macs, 1)
        kinds = sorted({op.kind for op in left})
        reasons.append(f"{share:.0%} of the MACs stayed in float ({', '.join(kinds)}), with conversions around them")
    if coverage.fast_share < 0.95:
        reasons.append(f"the fast backend took only {coverage.fast_share:.0%} of the MACs")
    if coverage.partitions is not None and coverage.partitions > 4:
        reasons.append(f"the graph fell into {coverage.partitions} pieces, each handed over at a cost")
    if target == "x86_64":
        reasons.append("this CPU has no VNNI, so int8 products take three instructions where float takes one")
    if not reasons:
        reasons.append(
            "the heavy operators run in int8; the model is so small that quantising its ends costs more than that saves"
        )
    return "; ".join(reasons)
