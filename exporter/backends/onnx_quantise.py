"""Static int8 of an ONNX graph: prepare, calibrate, quantise with ONNX Runtime's QDQ quantiser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exporter.backends import onnx_fold, onnx_rewrites
from exporter.backends.onnx_unfused import unfused
from exporter.calibration import Ranges
from exporter.runtimes.base import NO_OWN, CalibrationMethod, Int8End
from exporter.runtimes.lowering import Feeds
from exporter.runtimes.quiet import quiet
from exporter.trained_ranges import TrainedRange


@dataclass(frozen=True)
class Types:
    """Activation type of the quantised graph, and whether weights keep to 7 bits."""

    activation: str
    reduce_range: bool


@dataclass(frozen=True)
class Scheme:
    """operators: the ONNX operators to quantise, () for all that the quantiser knows. covers, left_float: for people.

    float_results: operators whose result stays float: its consumer is float anyway, so the kernel scales its int32
        sums straight to float, which saves an operator and a rounding.
    """

    operators: tuple[str, ...]
    float_results: tuple[str, ...]
    covers: str
    left_float: str


@dataclass(frozen=True)
class Calibrated:
    """A prepared float model (onnx.ModelProto) as it was observed."""

    model: Any
    ranges: Ranges


#: `linear` is the only scheme for transformers: quantising every operator as well was measured as fast (0.49 against
#: 0.47 of fp32's time, two MiniLM layers, x86 with VNNI) at five times the error
SCHEMES = {
    "full": Scheme((), ("Gemm",), "every operator the quantiser knows", "the inputs and outputs"),
    "linear": Scheme(
        ("Gemm",),
        ("Gemm",),
        "linear layers; embedding tables in int8 with a scale per row",
        "attention products, softmax, layer norm, activations: quantising them costs accuracy and saves no time",
    ),
}


def types_for(target: str) -> Types:
    """What is fast and does not saturate on the target ISA."""
    if target == "aarch64":
        return Types("int8", reduce_range=False)
    return Types("uint8", reduce_range=target != "x86_64-vnni")


def prepare(float_model: Path, scheme: str, scratch: Path) -> Any:
    """The float model cleaned up (shapes inferred, constants folded, batch norms fused) and rewritten for the scheme."""
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = scratch / "prepared.onnx"
    # for a transformer without ORT's optimiser: it fuses some linears and leaves others, we do all of them alike
    quant_pre_process(str(onnx_rewrites.at_least(float_model, scratch)), str(prepared), skip_optimization=scheme == "linear")
    model = onnx.load(str(prepared))
    if scheme == "linear":
        onnx_fold.fold_products(model, scratch)
        onnx_rewrites.transpose_constants(model)
        onnx_rewrites.linears_to_gemm(model)
        onnx_rewrites.embeddings_to_int8(model)
    return onnx.shape_inference.infer_shapes(model)


def calibrate(
    prepared: Any, scheme: str, examples: Iterator[Feeds], scratch: Path, trained: tuple[TrainedRange, ...] = ()
) -> Calibrated:
    """Run the prepared model on the examples, observing all float activations that the scheme may quantise.

    Histograms are kept, not the activations, which is what ORT's own histogram calibrators do: memory stays bounded.
    """
    with quiet():
        import onnx

        model = onnx.ModelProto()
        model.CopyFrom(prepared)
        tensors = _float_activations(model, SCHEMES[scheme].operators)
        given = {output.name for output in model.graph.output}
        model.graph.output.extend(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in tensors if name not in given
        )
        session = unfused(model, scratch / "observed.onnx")
    inputs = {given.name for given in session.get_inputs()}
    computed = [name for name in tensors if name not in inputs]
    ranges = Ranges(trained)
    for feeds in examples:
        # an empty list would mean every output
        for name, values in zip(computed, session.run(computed, feeds) if computed else (), strict=True):
            ranges.observe(name, values)
        for name in tensors:
            if name in inputs:
                ranges.observe(name, feeds[name])
    return Calibrated(prepared, ranges)


def quantise(
    calibrated: Calibrated, scheme: str, types: Types, method: CalibrationMethod, destination: Path,
    arriving: Mapping[str, Int8End] = NO_OWN,
) -> dict[str, Any]:  # fmt: skip
    """Write the QDQ model: weights int8 per channel and symmetric, biases int32, ranges of activations by the method.

    arriving: inputs, by the file's names, whose scale is given; left alone where it is of another type than activations are.
    Returns what the manifest says of trained ranges.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod as OrtMethod
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    chosen = SCHEMES[scheme]
    limits: dict[str, Any] = {
        name: (np.array(low, np.float32), np.array(high, np.float32))
        for name, (low, high) in calibrated.ranges.by(method).items()
    }
    activation = QuantType.QUInt8 if types.activation == "uint8" else QuantType.QInt8
    model = onnx.ModelProto()
    model.CopyFrom(calibrated.model)  # the quantiser works in place
    quantiser = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=types.reduce_range,
        weight_qType=QuantType.QInt8,
        activation_qType=activation,
        # ranges are ranges: how they were found is nothing to the quantiser
        tensors_range=TensorsData(OrtMethod.MinMax, limits),
        nodes_to_quantize=[],
        nodes_to_exclude=[],
        op_types_to_quantize=list(chosen.operators) or sorted({*QLinearOpsRegistry, *QDQRegistry}),
        extra_options={
            "OpTypesToExcludeOutputQuantization": list(chosen.float_results),
            "TensorQuantOverrides": {
                name: [_override(end, activation)] for name, end in arriving.items() if end.dtype == types.activation
            },
        },
    )
    quantiser.quantize_model()
    quantiser.model.save_model_to_file(str(destination), False)
    given = {node.input[1] for node in quantiser.model.graph().node if node.op_type == "QuantizeLinear"}
    return calibrated.ranges.trained_share({name.removesuffix("_scale") for name in given})


def _override(end: Int8End, activation: Any) -> dict[str, Any]:
    return {
        "quant_type": activation,
        "scale": np.array(end.scale, np.float32),
        "zero_point": np.array(end.zero_point, end.dtype),
    }


def _float_activations(model: Any, operators: tuple[str, ...]) -> list[str]:
    """Names of the float tensors that the quantised operators read or write, constants left out, in graph order."""
    import onnx

    kinds = {
        info.name: info.type.tensor_type.elem_type
        for info in (*model.graph.value_info, *model.graph.input, *model.graph.output)
    }
    constants = {tensor.name for tensor in model.graph.initializer}
    touched = (
        name for node in model.graph.node if not operators or node.op_type in operators for name in (*node.input, *node.output)
    )
    return [name for name in dict.fromkeys(touched) if kinds.get(name) == onnx.TensorProto.FLOAT and name not in constants]
