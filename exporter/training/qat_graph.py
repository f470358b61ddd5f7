"""A module's training graph with fake quantisation where the lowerings will quantise.

The placement is that of ExecuTorch's XNNPACK quantiser (PT2E), as `exporter.backends.executorch_graph` sets it up; LiteRT's
and ONNX Runtime's quantisers place theirs at the same tensors.

torchao's prepare_qat_pt2e is not what is called here. It replaces every convolution before a batch norm by the folded
form with the norm's own epsilon and momentum written as 1e-5 and 0.1, which is another function for a model that has others
(EfficientNet-Lite: 1e-3). With weights per channel and symmetric the plain form computes the same (see
qat_fake.PerChannelWeight) and is faster, so only the placement is taken from PT2E.

Imports torch, torchao and executorch: only imported where a model is being trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import CONV_TARGETS
from torch import Tensor, fx, nn
from torchao.quantization.pt2e.prepare import prepare
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationConfig, QuantizationSpec
from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY
from torchao.quantization.pt2e.utils import _get_node_name_to_scope

from exporter.backends.executorch_graph import FinerQuantizer, relu6_to_hardtanh
from exporter.runtimes.lowering import converting
from exporter.training.qat_fake import ActivationRange, PerChannelWeight
from exporter.training.qat_trainee import Ends

_aten = torch.ops.aten
_CLAMPS = (_aten.relu.default, _aten.relu_.default, _aten.hardtanh.default, _aten.hardtanh_.default)
_ADD_IN_PLACE = _aten.add_.Tensor


@dataclass(frozen=True)
class TrainingGraph:
    """graph: takes what the module takes, any batch. ranges: of the activations, each once, in the graph's order."""

    graph: fx.GraphModule
    ranges: tuple[Ends, ...]


class TrainingQuantizer(FinerQuantizer):
    """The same, for a graph whose batch norms are not folded: convolution, norm and what clamps them are one."""

    def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
        """Mark what is to be quantised, and how."""
        config = self.global_config
        for norm in model.graph.nodes if config is not None else ():
            conv = norm.args[0] if norm.target is _aten.batch_norm.default else None
            if not isinstance(conv, fx.Node) or conv.target not in CONV_TARGETS or len(conv.users) > 1:
                continue
            data, weight, *rest = conv.args
            conv.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
                input_qspec_map={data: config.input_activation, weight: config.weight}, _annotated=True
            )
            users = list(norm.users)
            last = users[0] if len(users) == 1 and users[0].target in _CLAMPS else norm
            for node in {norm, last}:
                node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
                    output_qspec=config.output_activation if node is last else None, _annotated=True
                )
            for parameter in (weight, *rest):
                if isinstance(parameter, fx.Node):
                    parameter.meta.setdefault(Q_ANNOTATION_KEY, QuantizationAnnotation(_annotated=True))
        annotated: fx.GraphModule = super().annotate(model)
        return annotated


def quantiser(scheme: str) -> TrainingQuantizer:
    """scheme: "full" or "linear", as the runtimes' int8 schemes."""
    activation = QuantizationSpec(
        dtype=torch.int8, quant_min=-128, quant_max=127, qscheme=torch.per_tensor_affine,
        observer_or_fake_quant_ctr=ActivationRange,
    )  # fmt: skip
    weight = QuantizationSpec(
        dtype=torch.int8, quant_min=-127, quant_max=127, qscheme=torch.per_channel_symmetric, ch_axis=0,
        observer_or_fake_quant_ctr=PerChannelWeight,
    )  # fmt: skip
    config = QuantizationConfig(activation, activation, weight, None)
    if scheme == "full":
        placing: TrainingQuantizer = TrainingQuantizer().set_global(config)
    else:
        placing = TrainingQuantizer().set_operator_type(_aten.linear.default, config)
    return placing


def training_graph(model: nn.Module, example: tuple[Tensor, ...], scheme: str) -> TrainingGraph:
    """The module's graph, whose parameters are copies by name until a Trainee binds the module's own.

    example: two examples of the signature's inputs; the batch axis, the first, is left open. Raises UserError for a
    module that torch.export cannot express with an open batch axis.
    """
    with converting("training", "export this model with a batch axis of any size"):
        batch = torch.export.Dim("batch", min=2)
        model.train()
        exported = torch.export.export(model, example, dynamic_shapes=tuple({0: batch} for _ in example))
        graph: fx.GraphModule = exported.module(check_guards=False)
    model.eval()
    _without_batch_counts(graph)
    relu6_to_hardtanh(graph)
    with converting("training", "prepare this model for int8"):
        scopes = _get_node_name_to_scope(graph)
        placing = quantiser(scheme)
        graph = placing.transform_for_annotation(graph)
        placing.annotate(graph)
        placing.validate(graph)
        prepared: fx.GraphModule = prepare(graph, scopes, is_qat=True, obs_or_fq_callback=placing.prepare_obs_or_fq_callback)
    return TrainingGraph(prepared, tuple(_ranges(prepared)))


def _ranges(graph: fx.GraphModule) -> list[Ends]:
    """One for each ActivationRange, of which one may stand at several places."""
    modules = dict(graph.named_modules(remove_duplicate=False))
    called = (modules[str(node.target)] for node in graph.graph.nodes if node.op == "call_module")
    return list({id(module): module.ends for module in called if isinstance(module, ActivationRange)}.values())


def _without_batch_counts(graph: fx.GraphModule) -> None:
    """Take out what counts the batches of a batch norm: it would count in eval mode as well, and nothing reads it."""
    for node in list(graph.graph.nodes):
        source: Any = node.args[0] if node.target is _ADD_IN_PLACE else None
        if isinstance(source, fx.Node) and str(source.target).endswith("num_batches_tracked") and not node.users:
            graph.graph.erase_node(node)
    graph.recompile()
