"""partition: the model in two stages, for two devices; what crosses is in the manifest. Cut first, quantised after."""

from __future__ import annotations

from dataclasses import replace

from edgedeploy.artifact import Claim
from edgedeploy.errors import UserError
from exporter.operators.base import Draft, Facts


class Partition:
    """Two stages. Where the cut is, is an option of the export: by name, at a fraction, or searched for."""

    name = "partition"
    summary = "two stages for two devices (--cut says where)"

    def extend(self, draft: Draft) -> Draft:
        """Sets the cut."""
        if draft.cut:
            raise UserError(f"--op {draft.asked}: a model is cut once, in two stages")
        return replace(draft, cut=True)

    def claims(self, facts: Facts) -> list[Claim]:
        """Both stages have work, the stages composed are the whole, and what crosses is listed."""
        stages = facts.stages
        if stages is None:
            return [Claim(name="two stages", holds=False, detail="the model is in one piece")]
        listed = ", ".join(f"{spec.name} {spec.dtype} {list(spec.shape)}" for spec in stages.crossing)
        nbytes = sum(spec.nbytes for spec in stages.crossing)
        return [
            Claim(
                name="two stages",
                holds=len(stages.macs) == 2 and min(stages.macs) > 0,
                detail=" and ".join(f"{macs:,}" for macs in stages.macs) + " MACs",
            ),
            Claim(
                name="stages equal the whole",
                holds=stages.gap <= stages.bound,
                detail=f"in float, on this runtime: max |difference| {stages.gap:.2e} (bound {stages.bound:.2e})",
            ),
            Claim(name="what crosses is listed", holds=bool(stages.crossing), detail=f"{nbytes:,} bytes: {listed}"),
            Claim(
                name="both ends hold alike what crosses",
                holds=not stages.unequal,
                detail=", ".join(stages.unequal) or "of the same type, scale and zero point",
            ),
        ]


operator = Partition()
