"""Ways to run a subject over two devices: whole on either one, or cut where a bundle is cut; and what crosses then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgedeploy.errors import UserError

if TYPE_CHECKING:
    from edgedeploy.artifact import Manifest, Stage
    from edgedeploy.bundle import Bundle
    from edgedeploy.signature import TensorSpec

#: of a frame with tensors: its header, the sequence number and duration and count before the tensors; and of each tensor
_FRAME_BYTES, _TENSOR_BYTES, _DIM_BYTES = 48 + 24, 16, 8


@dataclass(frozen=True)
class Candidate:
    """A bundle whose stages before `split` run on the near device and the others on the far one.

    split 0: all of it far, so that the inputs cross; the number of stages: all near, and nothing does. Bytes are as they
    travel, the frame's own included.
    """

    bundle: Bundle
    split: int
    sent_bytes: int
    received_bytes: int

    @property
    def name(self) -> str:
        """For people, different for each candidate of one subject."""
        manifest = self.bundle.manifest
        what = f"{manifest.recipe.asked} on {manifest.runtime}-{manifest.backend}"
        if self.is_cut:
            return f"{what}, cut {manifest.recipe.cut}"
        return f"{what}, all {'far' if self.crosses else 'near'}"

    @property
    def crosses(self) -> bool:
        """Whether anything goes over the link."""
        return self.split < len(self.bundle.manifest.stages)

    @property
    def is_cut(self) -> bool:
        """Whether both devices have work."""
        return 0 < self.split < len(self.bundle.manifest.stages)


def of(bundles: Sequence[Bundle]) -> list[Candidate]:
    """Every candidate of the bundles: of one with stages its cut, of a whole one either device.

    Raises UserError where they are not of one subject, or none of them is cut.
    """
    subjects = sorted({bundle.manifest.subject for bundle in bundles})
    if len(subjects) != 1:
        raise UserError(f"bundles of one subject are compared, these are of {', '.join(subjects) or 'none'}")
    found = []
    for bundle in {bundle.digest: bundle for bundle in bundles}.values():
        count = len(bundle.manifest.stages)
        found += [_candidate(bundle, split) for split in ((1,) if count > 1 else (1, 0))]
    if not any(candidate.is_cut for candidate in found):
        raise UserError(
            "none of these bundles is cut; make some with: edgedeploy export --op partition --cut 0.25 (and 0.5, 0.75, auto)"
        )
    return found


def _candidate(bundle: Bundle, split: int) -> Candidate:
    near, far = bundle.manifest.stages[:split], bundle.manifest.stages[split:]
    sent, received = crossing(bundle.manifest, near, far)
    return Candidate(bundle, split, frame_bytes(sent) if far else 0, frame_bytes(received) if far else 0)


def crossing(
    manifest: Manifest, near: Sequence[Stage], far: Sequence[Stage]
) -> tuple[list[TensorSpec], list[TensorSpec]]:  # fmt: skip
    """(what is sent, what is received), as it travels: what crosses a cut as the manifest lists it, the signature's own tensors
    as the model takes and gives them, since their adapters are applied on the near device."""
    listed = {spec.name: spec for spec in manifest.cut_tensors}
    from_near = {port.source for stage in near for port in stage.outputs}
    from_far = {port.source for stage in far for port in stage.outputs}
    wanted = {spec.name for spec in manifest.signature.outputs}
    sent = [
        listed[port.source] if port.source in from_near and port.source in listed else port.tensor
        for stage in far for port in stage.inputs if port.source not in from_far
    ]  # fmt: skip
    received = [port.tensor for stage in far for port in stage.outputs if port.source in wanted]
    return sent, received


def frame_bytes(specs: Iterable[TensorSpec]) -> int:
    """Bytes of the frame that carries these tensors; see docs/runner-protocol.md."""
    return _FRAME_BYTES + sum(_TENSOR_BYTES + _DIM_BYTES * len(spec.shape) + spec.nbytes for spec in specs)
