"""ExecuTorch: Core ATen, after the decompositions into it, and the kernels of its runtime; XNNPACK takes some before that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.operator_tables import targets

if TYPE_CHECKING:
    import torch


def lacks(program: torch.export.ExportedProgram) -> list[str]:
    """Operators that are neither Core ATen nor taken by XNNPACK, or are, and have no kernel."""
    import executorch.kernels.quantized  # noqa: F401
    from executorch.backends.xnnpack.partition.config import ALL_PARTITIONER_CONFIGS
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import EdgeCompileConfig
    from executorch.exir.tracer import _default_decomposition_table
    from executorch.exir.verification.verifier import get_aten_verifier
    from executorch.extension.pybindings import portable_lib
    from torch._export.verifier import SpecViolationError

    plain = program.run_decompositions({})
    kept, _ = XnnpackPartitioner().ops_to_not_decompose(plain)
    table = {op: how for op, how in _default_decomposition_table().items() if op not in kept}
    taken = {config.target_name for config in ALL_PARTITIONER_CONFIGS}
    kernels = set(portable_lib._get_operator_names())
    verifier = get_aten_verifier(EdgeCompileConfig())()
    found = []
    for target in targets(plain.run_decompositions(table)):
        # a view becomes a copy first, which is another operator
        if target.is_view or target in kept or str(target).removeprefix("aten.") in taken:
            continue
        try:
            verifier.check_valid_op(target)
        except SpecViolationError:
            found.append(str(target))
            continue
        if not _has_kernel(target, kernels):
            found.append(str(target))
    return found


def _has_kernel(target: torch._ops.OpOverload, kernels: set[str]) -> bool:
    """Whether the runtime has the operator in the form that writes into memory it is given; True where that is not known."""
    from executorch.exir.operator.convert import to_out_variant

    try:
        out = to_out_variant(target)[0]
    except RuntimeError:
        return True
    schema = out._schema
    return (f"{schema.name}.{schema.overload_name}" if schema.overload_name else schema.name) in kernels
