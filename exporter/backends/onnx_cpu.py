"""ONNX Runtime on the CPU: MLAS kernels; static int8 as QDQ, in the types that are fast on the target.

x86_64-vnni  uint8 activations x int8 weights: what VNNI multiplies; int8 x int8 goes through a slower path there.
x86_64       the same with weights in 7 bits (`reduce_range`): without VNNI the kernel adds pairs of products in 16 bits
             (pmaddubsw), which saturates where both are large.
aarch64      int8 x int8, what its dot product instructions take.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedeploy.artifact import Coverage, Precision
from exporter.backends import onnx_convert, onnx_coverage, onnx_ends, onnx_quantise
from exporter.backends.onnx_unfused import SEVERITY_ERROR
from exporter.backends.precisions import refusal
from exporter.runtimes.base import CalibrationMethod, Int8End, Work
from exporter.runtimes.lowering import Feeds, calibration_examples, converting
from exporter.runtimes.quiet import quiet

if TYPE_CHECKING:
    import onnxruntime

#: measured on two cores of an AMD EPYC with AVX512-VNNI: 0.60 ms against 0.10 ms in float (a CNN of 8 M MACs)
LACKS = {
    ("convolutional", "int8-dynamic"): (
        "its kernel of ConvInteger, the dynamically quantised convolution, was measured at a sixth of the speed of float "
        "and fuses nothing; QLinearConv needs calibrated ranges, so use --op sptq"
    ),
}
#: ONNX Runtime's name of the options for the weights of the optimised model that it writes
_WEIGHTS = "session.optimized_model_external_initializers"
#: shapes and other small constants, which the optimiser and shape inference read, stay in the graph
_SMALL_BYTES = 1024


class OnnxCpu:
    """The backend `cpu` of the runtime `onnx`."""

    name = "cpu"
    precisions: tuple[Precision, ...] = ("fp16", "int8-dynamic", "int8-weights")

    def refuses(self, family: str, precision: str) -> str | None:
        """As `Runtime.refuses`; see LACKS."""
        return refusal(self.precisions, LACKS, family, precision)

    def session(self, model: Path, threads: int, optimised: Path | None = None) -> onnxruntime.InferenceSession:
        """As `OnnxBackend.session`: on the CPU with `threads` threads inside an operator, operators one after the other."""
        with quiet():
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.inter_op_num_threads = 1
            options.log_severity_level = SEVERITY_ERROR
            if optimised is not None:
                # the level above this one lays float convolutions out in blocks for this very host, and renames them
                options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
                options.optimized_model_filepath = str(optimised)
                # its weights beside it: who reads the graph has no use for them, and who runs it maps them
                options.add_session_config_entry(f"{_WEIGHTS}_file_name", "weights")
                options.add_session_config_entry(f"{_WEIGHTS}_min_size_in_bytes", str(_SMALL_BYTES))
            return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def schemes(self, work: Work) -> tuple[str, ...]:
        """One per family; see `onnx_quantise.SCHEMES` for what they hold and why there is no second."""
        return ("linear",) if work.family == "transformer" else ("full",)

    def calibrate(self, float_model: Path, work: Work, scheme: str) -> onnx_quantise.Calibrated:
        """As `OnnxBackend.calibrate`."""
        with tempfile.TemporaryDirectory(prefix="edgedeploy-onnx-") as scratch:
            with converting("onnx", "prepare this model for int8"):
                prepared = onnx_quantise.prepare(float_model, scheme, Path(scratch))
            return onnx_quantise.calibrate(prepared, scheme, _feeds(work), Path(scratch), work.trained)

    def quantise(
        self, calibrated: onnx_quantise.Calibrated, work: Work, scheme: str, method: CalibrationMethod, destination: Path
    ) -> dict[str, Any]:
        """As `OnnxBackend.quantise`."""
        types = onnx_quantise.types_for(work.target)
        with converting("onnx", "quantise this model"):
            arriving = {_called(work, name): end for name, end in work.arriving.items()}
            trained = onnx_quantise.quantise(calibrated, scheme, types, method, destination, arriving)
        return {
            "scheme": scheme,
            "calibration": method,
            "calibration_examples": len(work.calibration or ()),
            "weights": f"int8 per channel{', 7 bits' if types.reduce_range else ''}",
            "activations": f"{types.activation} per tensor",
            "covers": onnx_quantise.SCHEMES[scheme].covers,
            "left_float": onnx_quantise.SCHEMES[scheme].left_float,
            **trained,
        }

    def int8_ends(self, model: Path, work: Work) -> Mapping[str, Int8End]:
        """As `OnnxBackend.int8_ends`."""
        if not work.leaving and not work.arriving:
            return {}
        with converting("onnx", "take the ends off this model"):
            signature = {_called(work, name): name for name in (*work.arriving, *work.leaving)}
            arriving = {_called(work, name): end for name, end in work.arriving.items()}
            own = onnx_ends.strip(model, arriving, {_called(work, name) for name in work.leaving})
        return {signature[name]: end for name, end in own.items()}

    def convert(self, float_model: Path, work: Work, precision: Precision, destination: Path) -> dict[str, Any]:
        """As `OnnxBackend.convert`."""
        with converting("onnx", f"convert this model to {precision}"), tempfile.TemporaryDirectory() as scratch:
            return onnx_convert.convert(float_model, work, precision, Path(scratch), destination)

    def coverage(self, optimised: Path) -> Coverage:
        """As `OnnxBackend.coverage`."""
        with quiet():
            return onnx_coverage.of(optimised)


def _called(work: Work, name: str) -> str:
    """What the file calls an end that has this name in the signature."""
    if work.given is None:
        return name
    specs = (*work.signature.inputs, *work.signature.outputs)
    own = (*work.given.own_inputs, *work.given.own_outputs)
    return next(called for called, spec in zip(own, specs, strict=True) if spec.name == name)


def _feeds(work: Work) -> Iterator[Feeds]:
    """The calibration examples by the file's names of its inputs."""
    if work.given is None:
        return calibration_examples(work)
    names = work.given.own_inputs
    return (dict(zip(names, example.values(), strict=True)) for example in calibration_examples(work))
