"""ExecuTorch with the XNNPACK delegate: int8 by PT2E and XNNPACKQuantizer, ranges from our own histograms.

One scheme a family for every target: XNNPACK takes int8 weights per channel and int8 activations on x86 and ARM alike.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedeploy.artifact import Coverage, Precision
from exporter.backends import executorch_coverage
from exporter.backends.precisions import refusal
from exporter.runtimes.base import CalibrationMethod, Int8End, Work
from exporter.runtimes.lowering import calibration_examples, converting, torch_example

if TYPE_CHECKING:
    import torch

_COVERS = {
    "full": "every operator that XNNPACK has in int8",
    "linear": "linear layers; embedding tables in int8 with a scale per row",
}
_LEFT_FLOAT = {
    "full": "the inputs and outputs",
    "linear": "attention products, softmax, layer norm, activations, additions: XNNPACK has no int8 for most of them",
}
#: all measured with ExecuTorch 1.5 on x86 with AVX512-VNNI
LACKS = {
    ("convolutional", "fp16"): (
        "XNNPACK's aten.convolution stores half weights as float32, so the file is no smaller, and its half kernels ran at "
        "0.6 of the speed of float; use --op identity or --op sptq"
    ),
    ("convolutional", "int8-dynamic"): (
        "XNNPACK has no dynamically quantised aten.convolution that is depthwise or followed by a ReLU, and EfficientNet-Lite0 "
        "with the others quantised fails when it is run; use --op sptq"
    ),
    ("*", "int8-weights"): (
        "XNNPACK takes an aten.linear or aten.convolution with int8 weights only where its activations are int8 as well, and "
        "weights dequantised by an operator before it crashed the runtime; use --op int8-dynamic or --op sptq"
    ),
}


class ExecutorchXnnpack:
    """The backend `xnnpack` of the runtime `executorch`."""

    name = "xnnpack"
    precisions: tuple[Precision, ...] = ("fp16", "int8-dynamic")

    def refuses(self, family: str, precision: str) -> str | None:
        """As `Runtime.refuses`; see LACKS."""
        return refusal(self.precisions, LACKS, family, precision)

    def partitioners(self) -> list[Any]:
        """As `ExecutorchBackend.partitioners`."""
        from executorch.backends.xnnpack.partition.config import ALL_PARTITIONER_CONFIGS
        from executorch.backends.xnnpack.partition.config.generic_node_configs import ConstantPadConfig
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

        from exporter.backends.executorch_graph import Int8Pad

        configs = [Int8Pad if config is ConstantPadConfig else config for config in ALL_PARTITIONER_CONFIGS]
        return [XnnpackPartitioner(configs=configs)]

    def passes(self) -> list[Any]:
        """As `ExecutorchBackend.passes`."""
        from exporter.backends.executorch_graph import PlainViews

        return [PlainViews()]

    def schemes(self, work: Work) -> tuple[str, ...]:
        """One per family."""
        return ("linear",) if work.family == "transformer" else ("full",)

    def calibrate(self, exported: torch.fx.GraphModule, work: Work, scheme: str) -> torch.fx.GraphModule:
        """As `ExecutorchBackend.calibrate`: the module with observers in it."""
        with converting("executorch", "prepare this model for int8"):
            import torch
            from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

            from exporter.backends.executorch_graph import bring_ranges, embeddings_to_int8, quantiser, relu6_to_hardtanh

            relu6_to_hardtanh(exported)
            if scheme == "linear":
                embeddings_to_int8(exported)
            prepared: torch.fx.GraphModule = prepare_pt2e(exported, quantiser(scheme))
            bring_ranges(prepared, work.trained)
        for feeds in calibration_examples(work):
            with converting("executorch", "calibrate this model"), torch.no_grad(), _one_thread():
                prepared(*(torch.from_numpy(np.ascontiguousarray(array)) for array in feeds.values()))
        return prepared

    def quantise(
        self, calibrated: torch.fx.GraphModule, work: Work, scheme: str, method: CalibrationMethod
    ) -> tuple[torch.fx.GraphModule, dict[str, Any], dict[str, Int8End]]:
        """As `ExecutorchBackend.quantise`."""
        with converting("executorch", "quantise this model"):
            from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

            from exporter.backends.executorch_ends import choose_arriving, strip_ends
            from exporter.backends.executorch_graph import choose_ranges, recognised

            # a copy: converting is in place
            prepared = copy.deepcopy(calibrated)
            choose_ranges(prepared, method)
            inputs, outputs = ([spec.name for spec in specs] for specs in (work.signature.inputs, work.signature.outputs))
            arriving = [work.arriving.get(name) for name in inputs]
            choose_arriving(prepared, arriving)
            quantised: torch.fx.GraphModule = convert_pt2e(prepared)
            taken, given = strip_ends(quantised, arriving, [name in work.leaving for name in outputs])
            own = {inputs[place]: end for place, end in taken.items()} | {outputs[place]: end for place, end in given.items()}
            trained = recognised(calibrated) if work.trained else {}
        return (
            quantised,
            {
                "scheme": scheme,
                "calibration": method,
                "calibration_examples": len(work.calibration or ()),
                "weights": "int8 per channel",
                "activations": "int8 per tensor",
                "covers": _COVERS[scheme],
                "left_float": _LEFT_FLOAT[scheme],
                **trained,
            },
            own,
        )

    def convert(
        self, exported: torch.fx.GraphModule, work: Work, precision: Precision
    ) -> tuple[torch.nn.Module, dict[str, Any]]:
        """As `ExecutorchBackend.convert`."""
        with converting("executorch", f"convert this model to {precision}"):
            from exporter.backends import executorch_convert

            return executorch_convert.convert(exported, torch_example(work), precision)

    def stored(self, model: Path) -> dict[str, int]:
        """As `ExecutorchBackend.stored`."""
        with converting("executorch", "read its own file"):
            from exporter.backends import executorch_stored

            return executorch_stored.stored(model)

    def coverage(self, edge: Any) -> Coverage:
        """As `ExecutorchBackend.coverage`."""
        return executorch_coverage.of(edge.exported_program())


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """One torch thread for the time.

    Single examples through small operators gain nothing from a second one, and where another process has the cores the
    threads wait for each other at every operator: 18 ms an example became 120 on two busy cores.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
