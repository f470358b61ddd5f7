"""A .tflite in fp16, int8-dynamic or int8-weights, by ai-edge-quantizer: nothing is calibrated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgedeploy.artifact import Precision
from exporter.backends import tflite_coverage, tflite_file
from exporter.runtimes.base import Work

_TABLES = "; embedding tables in int8 with a scale per row"
_COMPUTES_FLOAT = "XNNPACK unpacks the weights to float32 when the model is loaded and computes in float32; the file is smaller"
#: what the manifest says
_SAID: dict[str, dict[str, str]] = {
    "fp16": {
        "scheme": "weights",
        "weights": "fp16",
        "activations": "float32",
        "covers": "weights of convolutions and linear layers; embedding tables, made float32 in memory at the first call",
        "left_float": "all computing",
        "slow_because": _COMPUTES_FLOAT,
    },
    "int8-dynamic": {
        "scheme": "linear and convolution",
        "weights": "int8 per channel",
        "activations": "int8, quantised at run time",
        "covers": "fully connected layers and convolutions" + _TABLES,
        # measured on EfficientNet-Lite0: in int8 as well they leave the delegate, 17 pieces at 0.39 of float's speed, not 1.69
        "left_float": "depthwise convolutions (XNNPACK has no dynamic kernel); attention products, softmax, layer norm",
    },
    "int8-weights": {
        "scheme": "weights",
        "weights": "int8 per channel",
        "activations": "float32",
        "covers": "weights of convolutions and linear layers" + _TABLES,
        "left_float": "all computing",
        "slow_because": _COMPUTES_FLOAT,
    },
}


def convert(float_model: Path, work: Work, precision: Precision, destination: Path) -> dict[str, Any]:
    """Write the model to `destination`; returns what the manifest says of it."""
    from ai_edge_quantizer import qtyping, quantizer
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    name = qtyping.TFLOperationName
    quantiser = quantizer.Quantizer(float_model.read_bytes())
    heavy = (name.FULLY_CONNECTED, name.CONV_2D, name.CONV_2D_TRANSPOSE, name.DEPTHWISE_CONV_2D)
    if precision == "fp16":
        for kind in (*heavy, name.EMBEDDING_LOOKUP):
            quantiser.add_weight_only_config(".*", kind, 16, algorithm_key=AlgorithmName.FLOAT_CASTING)
    else:
        for kind in heavy:
            if precision == "int8-weights":
                quantiser.add_weight_only_config(".*", kind, 8)
            elif kind in (name.FULLY_CONNECTED, name.CONV_2D):
                quantiser.add_dynamic_config(".*", kind, 8)
        # "dynamic" for the table, which is looked up in int8; "weight only" would make a float copy of it
        quantiser.add_dynamic_config(".*", name.EMBEDDING_LOOKUP, 8)
    tflite_file.write(quantiser.quantize(None, enable_progress_bar=False, enable_progress_report=False), destination)
    return {**_SAID[precision], "stored": tflite_coverage.stored(destination)}
