"""litert-torch: its registry of lowerings, after the decompositions that it runs before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.operator_tables import targets

if TYPE_CHECKING:
    import torch

#: they are lowered, to STABLEHLO_SORT, for which the interpreter has no kernel
_NO_KERNEL = ("aten.sort.default", "aten.sort.stable", "aten.topk.default")


def lacks(program: torch.export.ExportedProgram) -> list[str]:
    """Operators for which the converter would find no lowering."""
    from litert_torch import fx_infra
    from litert_torch.backend import lowerings

    left = targets(program.run_decompositions(fx_infra.decomp.pre_lower_decomp()), ("aten", "prims"))
    return [str(target) for target in left if lowerings.lookup(target) is None or str(target) in _NO_KERNEL]
