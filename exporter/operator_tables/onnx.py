"""torch.onnx: its registry of ONNX functions, after the decompositions that it runs for what is not in there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.operator_tables import targets

if TYPE_CHECKING:
    import torch


def lacks(program: torch.export.ExportedProgram) -> list[str]:
    """Operators for which the exporter would find no ONNX function."""
    from torch.onnx._internal.exporter import _fx_passes, _registration

    registry = _registration.ONNXRegistry.from_torchlib()
    left = targets(_fx_passes.decompose_with_registry(program, registry), ("aten", "prims"))
    return [str(target) for target in left if not registry.is_registered(target)]
