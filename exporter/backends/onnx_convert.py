"""An ONNX graph in fp16, int8-dynamic or int8-weights: nothing is calibrated.

int8-dynamic: ONNX Runtime's own quantiser; activations uint8 with one scale a tensor, found as the model runs. MatMulNBits at
8 bits is nearer to float (a sixth of the mean error on two MiniLM layers) but slower (1.35 against 2.42 times float's speed).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgedeploy.artifact import Precision
from exporter.backends import onnx_rewrites, onnx_weights
from exporter.backends.onnx_quantise import types_for
from exporter.runtimes.base import Work

_TABLES = "; embedding tables in int8 with a scale per row"
#: what the manifest says
_SAID: dict[str, dict[str, str]] = {
    "fp16": {
        "scheme": "weights",
        "weights": "fp16",
        "activations": "float32",
        "covers": "weights and tables",
        # a graph in half throughout was measured as fast and twice as far from float: 63 casts, all products in float32
        "left_float": "all computing: the CPU provider has next to no fp16 kernels and would cast around every operator",
        "slow_because": "the CPU provider computes in float32 either way, the file alone is smaller",
    },
    "int8-dynamic": {
        "scheme": "linear",
        "weights": "int8 per channel",
        "activations": "uint8 per tensor, quantised at run time",
        "covers": "linear layers" + _TABLES,
        "left_float": "attention products, softmax, layer norm, activations",
    },
    "int8-weights": {
        "scheme": "weights",
        "weights": "int8 per channel",
        "activations": "float32 in the file; MatMulNBits, which ONNX Runtime makes of the linears, quantises in blocks of 32",
        "covers": "convolutions and linear layers" + _TABLES,
        "left_float": "activations",
        "slow_because": "weights are made float32 again before they are used",
    },
}


def convert(float_model: Path, work: Work, precision: Precision, scratch: Path, destination: Path) -> dict[str, Any]:
    """Write the model to `destination`; returns what the manifest says of it. scratch: a folder for files in between."""
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = scratch / "prepared.onnx"
    # batch norms are fused into convolutions by ORT's optimiser; a transformer keeps its plain MatMuls without it
    float_model = onnx_rewrites.at_least(float_model, scratch)
    quant_pre_process(str(float_model), str(prepared), skip_optimization=work.family == "transformer")
    model = onnx.load(str(prepared))
    onnx_rewrites.transpose_constants(model)
    if precision == "int8-dynamic":
        _quantise_dynamic(model, reduce_range=types_for(work.target).reduce_range, destination=destination)
    else:
        (onnx_weights.to_half if precision == "fp16" else onnx_weights.to_int8)(model)
        onnx.save(model, str(destination))
    return {**_SAID[precision], "stored": onnx_weights.stored(destination)}


def _quantise_dynamic(model: Any, *, reduce_range: bool, destination: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    onnx_rewrites.embeddings_to_int8(model)
    quantize_dynamic(
        model,
        str(destination),
        # a Gemm becomes a MatMul and an Add first
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        reduce_range=reduce_range,
        weight_type=QuantType.QInt8,
    )
