"""LiteRT with the XNNPACK delegate: int8 by ai-edge-quantizer, ranges from our own histograms.

One scheme a family for every target: XNNPACK takes int8 weights per channel and int8 activations on x86 and ARM alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedeploy.artifact import Coverage, Port, Precision
from edgedeploy.errors import UserError
from exporter.backends import tflite_convert, tflite_coverage, tflite_file, tflite_int8_ends
from exporter.backends.precisions import refusal
from exporter.backends.tflite_ends import ends
from exporter.backends.tflite_observe import Observed
from exporter.calibration import Ranges
from exporter.given import tensorflow
from exporter.given.tensorflow import SCHEME, is_from_tensorflow
from exporter.runtimes.base import CalibrationMethod, Int8End, Work
from exporter.runtimes.lowering import calibration_examples, converting, fed
from exporter.runtimes.quiet import quiet

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

_COVERS = {"full": "every operator", "linear": "fully connected layers; embedding tables in int8 with a scale per row"}
#: the operators whose activations become int8; empty: all that have an int8 form
_STATIC = {"full": (), "linear": ("FULLY_CONNECTED",)}
_LEFT_FLOAT = {
    "full": "the inputs and outputs",
    # measured on a 4x256 BERT: 1.5 ms so, 4.8 ms with batched products in int8 as well, 7.1 ms with everything, 4.1 in fp32
    "linear": "attention products, softmax, layer norm, activations: in int8 they split the delegate and cost time",
}


@dataclass(frozen=True)
class Calibrated:
    """A float model as it was observed. ranks: of every float tensor, by name. inputs: what its inputs' tensors are called."""

    float_model: bytes
    ranges: Ranges
    ranks: dict[str, int]
    inputs: tuple[str, ...]


class TfliteXnnpack:
    """The backend `xnnpack` of the runtime `tflite`."""

    name = "xnnpack"
    precisions: tuple[Precision, ...] = ("fp16", "int8-dynamic", "int8-weights")

    def refuses(self, family: str, precision: str) -> str | None:
        """As `Runtime.refuses`: nothing for either family; what of a convolutional model stays float is in `tflite_convert`."""
        return refusal(self.precisions, {}, family, precision)

    def interpreter(self, model: Path, threads: int) -> Interpreter:
        """An interpreter with the XNNPACK delegate (LiteRT's default), tensors allocated."""
        with quiet():
            from ai_edge_litert.interpreter import Interpreter

            made = Interpreter(model_path=str(model), num_threads=threads)
            made.allocate_tensors()
        return made

    def schemes(self, work: Work) -> tuple[str, ...]:
        """One per family; what TensorFlow converted, it quantises too."""
        if is_from_tensorflow(work.given):
            return (SCHEME,)
        return ("linear",) if work.family == "transformer" else ("full",)

    def calibrate(self, float_model: Path, inputs: Sequence[Port], work: Work, scheme: str) -> Calibrated | tuple[Port, ...]:
        """As `TfliteBackend.calibrate`: runs the float model, observing every float tensor that the scheme may quantise.

        The quantiser's own calibrator keeps a moving average of the extremes, which saturates outputs, and knows no
        other method than it and min-max. TensorFlow's conversion sees the examples itself.
        """
        if scheme == SCHEME:
            return tuple(inputs)
        observed = Observed(float_model)
        tensors = tflite_coverage.float_activations(observed.nodes, observed.tensors, _STATIC[scheme])
        ranges = Ranges(work.trained)
        for feeds in fed(calibration_examples(work), inputs):
            observed.run(feeds)
            for name, (index, _) in tensors.items():
                ranges.observe(name, observed.values(index))
        ranks = {name: rank for name, (_, rank) in tensors.items()}
        return Calibrated(float_model.read_bytes(), ranges, ranks, observed.inputs)

    def quantise(
        self, calibrated: Calibrated | tuple[Port, ...], work: Work, scheme: str, method: CalibrationMethod, destination: Path
    ) -> dict[str, Any]:
        """As `TfliteBackend.quantise`."""
        if isinstance(calibrated, tuple):
            return _by_tensorflow(calibrated, work, method, destination)
        with converting("tflite", "quantise this model"):
            arriving = {
                called: work.arriving[spec.name]
                for called, spec in zip(calibrated.inputs, work.signature.inputs, strict=True)
                if spec.name in work.arriving
            }
            _quantise(calibrated, scheme, method, arriving, destination)
        return {
            "scheme": scheme,
            "calibration": method,
            "calibration_examples": len(work.calibration or ()),
            "weights": "int8 per channel",
            "activations": "int8 per tensor",
            "covers": _COVERS[scheme],
            "left_float": _LEFT_FLOAT[scheme],
            **calibrated.ranges.trained_share(tflite_coverage.quantised_activations(destination)),
        }

    def int8_ends(self, model: Path, work: Work) -> Mapping[str, Int8End]:
        """As `TfliteBackend.int8_ends`."""
        if not work.leaving and not work.arriving:
            return {}
        inputs, outputs = ends(self.interpreter(model, 1))
        takes, gives = (
            {details["index"]: spec.name for details, spec in zip(side.values(), specs, strict=True)}
            for side, specs in ((inputs, work.signature.inputs), (outputs, work.signature.outputs))
        )
        with converting("tflite", "take the ends off this model"):
            taken, given = tflite_int8_ends.strip(
                model,
                {index: work.arriving[name] for index, name in takes.items() if name in work.arriving},
                [index for index, name in gives.items() if name in work.leaving],
            )
        return {takes[index]: end for index, end in taken.items()} | {gives[index]: end for index, end in given.items()}

    def convert(self, float_model: Path, work: Work, precision: Precision, destination: Path) -> dict[str, Any]:
        """As `TfliteBackend.convert`."""
        with converting("tflite", f"convert this model to {precision}"):
            return tflite_convert.convert(float_model, work, precision, destination)

    def coverage(self, model: Path) -> Coverage:
        """As `TfliteBackend.coverage`."""
        return tflite_coverage.of(model, self.interpreter(model, 1))


def _by_tensorflow(inputs: tuple[Port, ...], work: Work, method: CalibrationMethod, destination: Path) -> dict[str, Any]:
    if method != "minmax":
        raise UserError(f"TensorFlow's converter finds ranges by min-max alone, not by {method}; use --calibration minmax")
    assert work.given is not None  # the scheme is of given models alone
    tensorflow.quantise(work.given, fed(calibration_examples(work), inputs), destination)
    examples = {"scheme": SCHEME, "calibration": method, "calibration_examples": len(work.calibration or ())}
    return {**examples, **tensorflow.DESCRIPTION}


def _quantise(
    calibrated: Calibrated,
    scheme: str,
    method: CalibrationMethod,
    arriving: Mapping[str, Int8End],
    destination: Path,
) -> None:
    from ai_edge_quantizer import qtyping, quantizer, recipe

    # the quantiser's statistics of a tensor have as many axes as the tensor
    statistics = {
        name: {"min": np.full([1] * rank, low, np.float32), "max": np.full([1] * rank, high, np.float32)}
        for rank, (name, (low, high)) in zip(calibrated.ranks.values(), calibrated.ranges.by(method).items(), strict=True)
    }
    for name, end in arriving.items():
        if name not in statistics:
            continue  # nothing that the scheme quantises reads it
        shape = statistics[name]["min"].shape
        # not every scale is that of a range in float32
        statistics[name] = {key: np.full(shape, each, np.float64) for key, each in zip(("min", "max"), end.range, strict=True)}
    operation = qtyping.TFLOperationName
    quantiser = quantizer.Quantizer(calibrated.float_model)
    if scheme == "full":
        quantiser.load_quantization_recipe(recipe.static_wi8_ai8())
        for end in (operation.INPUT, operation.OUTPUT):
            quantiser.update_quantization_recipe(".*", end, algorithm_key="no_quantize")
    else:
        quantiser.add_static_config(".*", operation.FULLY_CONNECTED, 8, 8)
        # "dynamic" keeps the table int8 up to the lookup, which scales the rows it takes; "weight only" would put a
        # DEQUANTIZE of the whole table before it: as small a file, but a float copy of the table in memory
        quantiser.add_dynamic_config(".*", operation.EMBEDDING_LOOKUP, 8)
    tflite_file.write(quantiser.quantize(statistics, enable_progress_bar=False, enable_progress_report=False), destination)
