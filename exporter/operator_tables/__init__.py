"""Operators of a program in torch that a runtime's converter has nothing for, found before anything is lowered.

Only what is sure: the program is decomposed as the converter would, and what is left is looked up in its own table. A program
without such operators can still fail, for the types or shapes that it has.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, cast

from exporter.runtimes.quiet import quiet

if TYPE_CHECKING:
    import torch

#: of these every runtime makes something; a program of nothing else needs no looking up
_COMMON = frozenset((
    "adaptive_avg_pool2d.default", "add.Tensor", "addmm.default", "arange.default", "arange.start", "avg_pool2d.default",
    "batch_norm.default", "bmm.default", "cat.default", "clamp.default", "clone.default", "contiguous.default",
    "conv1d.default", "conv2d.default", "detach.default", "div.Tensor", "dropout.default", "dropout_.default",
    "embedding.default", "eq.Scalar", "expand.default", "flatten.using_ints", "full.default", "gelu.default",
    "hardsigmoid.default", "hardswish.default", "hardtanh.default", "hardtanh_.default", "layer_norm.default",
    "linear.default", "matmul.default", "max_pool2d.default", "mean.dim", "mm.default", "mul.Tensor", "ones.default",
    "pad.default", "permute.default", "pow.Tensor_Scalar", "relu.default", "relu_.default", "relu6.default",
    "reshape.default", "rsqrt.default", "rsub.Scalar", "scaled_dot_product_attention.default", "select.int",
    "sigmoid.default", "silu.default", "silu_.default", "slice.Tensor", "softmax.int", "sqrt.default", "squeeze.dim",
    "stack.default", "sub.Tensor", "sum.dim_IntList", "t.default", "tanh.default", "to.dtype", "transpose.int",
    "unsqueeze.default", "view.default", "zeros.default", "_assert_tensor_metadata.default",
))  # fmt: skip
#: they are taken out, or say something about sizes alone
_IGNORED = ("_assert", "sym_", "alias", "lift_fresh_copy", "_to_copy", "to.")


class _Table(Protocol):
    def lacks(self, program: torch.export.ExportedProgram) -> list[str]: ...


def lacking(program: torch.export.ExportedProgram, runtime: str) -> tuple[str, ...]:
    """Names of the aten operators that the runtime's converter lacks; none for a runtime whose table is not known."""
    if (
        runtime not in ("onnx", "tflite", "executorch")
        or {name.removeprefix("aten.") for name in operators(program)} <= _COMMON
    ):
        return ()
    table = cast(_Table, importlib.import_module(f"exporter.operator_tables.{runtime}"))
    # what a decomposition calls prims.erfinv is better known by the name that is in the program
    known = operators(program)
    try:
        with quiet():
            found = {name.replace("prims.", "aten.") if name.replace("prims.", "aten.") in known else name
                     for name in table.lacks(program)}  # fmt: skip
    except Exception:  # not sure: the converter itself will say what it thinks of this program
        return ()
    return tuple(sorted(found))


def targets(program: torch.export.ExportedProgram, namespaces: tuple[str, ...] = ("aten",)) -> set[torch._ops.OpOverload]:
    """The operators that the program calls, those apart that no converter looks at; inner graphs are left out."""
    import torch

    found = {node.target for node in program.graph.nodes if node.op == "call_function"}
    return {
        target
        for target in found
        if isinstance(target, torch._ops.OpOverload)
        and target.namespace in namespaces
        and not str(target).partition(".")[2].startswith(_IGNORED)
    }


def operators(program: torch.export.ExportedProgram) -> set[str]:
    """Names of the aten operators that the program calls."""
    return {str(target) for target in targets(program)}
