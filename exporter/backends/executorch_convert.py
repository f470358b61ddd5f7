"""An exported graph in fp16 or int8-dynamic for ExecuTorch's XNNPACK delegate: nothing is calibrated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgedeploy.artifact import Precision

if TYPE_CHECKING:
    import torch

#: what the manifest says
_SAID: dict[str, dict[str, str]] = {
    "fp16": {
        "scheme": "half",
        "weights": "fp16",
        "activations": "fp16, between float32 ends",
        "covers": "every operator but those named",
        "left_float": "layer norms and sums, which leave half's range",
        "slow_because": "without half arithmetic (AVX512-FP16, ARMv8.2 FP16) XNNPACK converts to float32 and back in its "
        "kernels; GELU, layer norm and casts run on plain kernels",
    },
    "int8-dynamic": {
        "scheme": "linear",
        "weights": "int8 per channel",
        "activations": "int8 per tensor, quantised at run time",
        "covers": "linear layers; embedding tables in int8 with a scale per row",
        "left_float": "attention products, softmax, layer norm, activations",
    },
}


def convert(
    exported: torch.fx.GraphModule, example: tuple[torch.Tensor, ...], precision: Precision
) -> tuple[torch.nn.Module, dict[str, Any]]:
    """The module to export and lower, and what the manifest says of it. `exported` is used up."""
    return (_half if precision == "fp16" else _dynamic)(exported, example), dict(_SAID[precision])


def _half(exported: torch.fx.GraphModule, example: tuple[torch.Tensor, ...]) -> torch.nn.Module:
    from exporter.backends.executorch_half import to_half

    return to_half(exported)


def _dynamic(exported: torch.fx.GraphModule, example: tuple[torch.Tensor, ...]) -> torch.nn.Module:
    import torch
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    from exporter.backends.executorch_graph import dynamic_quantiser, embeddings_to_int8

    embeddings_to_int8(exported)
    prepared = prepare_pt2e(exported, dynamic_quantiser())
    with torch.no_grad():
        prepared(*example)  # the observers of the weights look once; those of the activations only hold a place
    converted: torch.nn.Module = convert_pt2e(prepared)
    return converted
