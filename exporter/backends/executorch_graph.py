"""Graphs on their way to ExecuTorch's XNNPACK delegate: the quantiser's set-up and the rewrites.

Imports torch, torchao and executorch: only imported where a model is being lowered.
"""

from __future__ import annotations

from typing import Any

import torch
from executorch.backends.xnnpack.partition.config.generic_node_configs import ConstantPadConfig
from executorch.backends.xnnpack.partition.config.xnnpack_config import ConfigPrecisionType
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import ADAPTIVE_AVG_POOL2D_TARGETS, CONV_TARGETS, XNNPACKQuantizer
from executorch.exir.dialects._ops import ops as exir_ops
from executorch.exir.pass_base import ExportPass
from torchao.quantization.pt2e.observer import PerChannelMinMaxObserver, PlaceholderObserver, UniformQuantizationObserverBase
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationConfig,
    QuantizationSpec,
    SharedQuantizationSpec,
)
from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

from edgedeploy.errors import UserError
from exporter.backends.rows import int8_rows
from exporter.calibration import Observed, trained_share
from exporter.runtimes.base import CalibrationMethod, Int8End
from exporter.trained_ranges import TrainedRange

#: smallest scale of an activation, as XNNPACKQuantizer has it: a kernel's ratio of scales must stay under 256
ACTIVATION_EPS = 2.0**-12
#: what `functional.pad` is in a graph
_PADS = (torch.ops.aten.pad.default, torch.ops.aten.constant_pad_nd.default)
_CLAMPS = (torch.ops.aten.hardtanh.default, torch.ops.aten.hardtanh_.default)
#: whose scalars upstream makes tensors of
_SCALARS_TAKEN = (torch.ops.aten.add.Tensor, torch.ops.aten.mul.Tensor)


class RangeObserver(UniformQuantizationObserverBase):  # type: ignore[misc]
    """A PT2E observer whose range comes from our histogram, by the method chosen when all was seen."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.method: CalibrationMethod = "minmax"
        self.histogram = Observed()
        #: what the tensor arrives in, whatever was seen of it
        self.given: Int8End | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Count the values; the tensor passes unchanged. Raises UserError for a NaN."""
        try:
            self.histogram.add(x.detach().numpy())
        except ValueError as err:
            raise UserError(f"executorch: the model cannot be calibrated: {err}") from err
        return x

    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Scale and zero point of the range, or those that are given."""
        if self.given is not None:
            return torch.tensor([self.given.scale]), torch.tensor([self.given.zero_point])
        low, high = self.histogram.range(self.method)
        scale, zero_point = self._calculate_qparams(torch.tensor(low), torch.tensor(high))
        return scale, zero_point


class WeightObserver(PerChannelMinMaxObserver):  # type: ignore[misc]
    """Extremes of every channel of a weight: looked at once, as it is the same for every example."""

    def forward(self, x_orig: torch.Tensor) -> torch.Tensor:
        """Note the extremes; the tensor passes unchanged."""
        return x_orig if self.min_val.numel() else super().forward(x_orig)


def choose_ranges(prepared: torch.fx.GraphModule, method: CalibrationMethod) -> None:
    """Let every observer of a calibrated module give its range by this method."""
    for module in prepared.modules():
        if isinstance(module, RangeObserver):
            module.method = method


def bring_ranges(prepared: torch.fx.GraphModule, trained: tuple[TrainedRange, ...]) -> None:
    """Give every observer, before it has seen anything, the trained ranges that it may recognise its own among."""
    for module in prepared.modules():
        if isinstance(module, RangeObserver):
            module.histogram = Observed(trained)


def recognised(prepared: torch.fx.GraphModule) -> dict[str, Any]:
    """How many observers of a calibrated module have a trained range, for the manifest."""
    observers = {module for module in prepared.modules() if isinstance(module, RangeObserver)}
    return trained_share(sum(observer.histogram.trained is not None for observer in observers), len(observers))


class Int8Pad(ConstantPadConfig):  # type: ignore[misc]
    """Lets the partitioner take an int8 pad too: XNNPACK has it, ExecuTorch 1.5 only asks for it in float."""

    def supported_precision_types(self) -> list[ConfigPrecisionType]:
        """In float and in static int8."""
        return [ConfigPrecisionType.FP32, ConfigPrecisionType.STATIC_QUANT]


class FinerQuantizer(XNNPACKQuantizer):  # type: ignore[misc]
    """XNNPACK's quantiser with finer ranges in two places, which XNNPACK's kernels do not need to be coarse, and int8 pads.

    A ReLU6 is seen as part of the convolution before it. Upstream sees only ReLU so: the result of a convolution is
    quantised over the range it has before it is clamped, most of which is never used, and rounded twice.
    An average pool has a range of its own. Upstream gives it that of its input, of which means use a small part.
    A pad by zeros takes and gives its input's int8. Upstream leaves it in float, between two conversions of the whole
    tensor, which took six times as long as the float network took for the pad and its convolution together.
    A whole number that is added to whole numbers stays one. Upstream makes a float tensor of it, and of the indices that it
    is added to, as of relative positions.
    """

    #: without the patterns of batch norms, which are folded by then and take long to look for
    SUPPORTED_PATTERNS = tuple(pattern for pattern in XNNPACKQuantizer.SUPPORTED_PATTERNS if "_bn" not in pattern.name)

    def transform_for_annotation(self, model: torch.fx.GraphModule) -> torch.fx.GraphModule:
        """Scalars become tensors, where the result is float."""
        whole = [(node, node.target) for node in model.graph.nodes if node.target in _SCALARS_TAKEN and _is_whole(node)]
        for node, _ in whole:
            node.target = torch.ops.aten.sub.Tensor  # which upstream leaves alone
        made: torch.fx.GraphModule = super().transform_for_annotation(model)
        for node, target in whole:
            node.target = target
        made.recompile()
        return made

    def annotate(self, model: torch.fx.GraphModule) -> torch.fx.GraphModule:
        """Mark what is to be quantised, and how."""
        config = self.global_config
        for node in model.graph.nodes if config is not None else ():
            if node.target in ADAPTIVE_AVG_POOL2D_TARGETS:
                node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
                    input_qspec_map={node.args[0]: config.input_activation},
                    output_qspec=config.output_activation,
                    _annotated=True,
                )
        for clamp in model.graph.nodes if config is not None else ():
            conv = clamp.args[0] if clamp.target in _CLAMPS else None
            if not isinstance(conv, torch.fx.Node) or conv.target not in CONV_TARGETS or len(conv.users) > 1:
                continue
            data, weight, *rest = conv.args
            conv.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
                input_qspec_map={data: config.input_activation, weight: config.weight}, _annotated=True
            )
            clamp.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(output_qspec=config.output_activation, _annotated=True)
            for parameter in (weight, *rest):
                if isinstance(parameter, torch.fx.Node):
                    parameter.meta.setdefault(Q_ANNOTATION_KEY, QuantizationAnnotation(_annotated=True))
        annotated: torch.fx.GraphModule = super().annotate(model)
        for node in annotated.graph.nodes if config is not None else ():
            if node.target in _PADS and _pads_with_zeros(node):
                _annotate_pad(node, config)
        return annotated


def _pads_with_zeros(node: torch.fx.Node) -> bool:
    """Whether a pad is by zeros, the one value that int8 has exactly whatever the range is."""
    if node.target is torch.ops.aten.pad.default:
        mode = node.args[2] if len(node.args) > 2 else node.kwargs.get("mode", "constant")
        value = node.args[3] if len(node.args) > 3 else node.kwargs.get("value")
        return mode == "constant" and not value
    return not (node.args[2] if len(node.args) > 2 else node.kwargs.get("value", 0))


def _annotate_pad(pad: torch.fx.Node, config: QuantizationConfig) -> None:
    """Let a pad give the range that it takes: that of the operator before it, else one of its own."""
    data = pad.args[0]
    assert isinstance(data, torch.fx.Node)
    made = data.meta.get(Q_ANNOTATION_KEY)
    if made is not None and made.output_qspec is not None:
        taken = given = SharedQuantizationSpec(data)
    else:
        taken, given = config.input_activation, SharedQuantizationSpec((data, pad))
    pad.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(input_qspec_map={data: taken}, output_qspec=given, _annotated=True)


def quantiser(scheme: str) -> XNNPACKQuantizer:
    """XNNPACK's quantiser: int8 activations per tensor, int8 weights per channel and symmetric."""
    activation = QuantizationSpec(
        dtype=torch.int8,
        quant_min=-128,
        quant_max=127,
        qscheme=torch.per_tensor_affine,
        observer_or_fake_quant_ctr=RangeObserver.with_args(eps=ACTIVATION_EPS),
    )
    config = QuantizationConfig(activation, activation, _weight(), None)
    if scheme == "full":
        return FinerQuantizer().set_global(config)
    return FinerQuantizer().set_operator_type(torch.ops.aten.linear.default, config)


def dynamic_quantiser() -> XNNPACKQuantizer:
    """The same weights, with activations quantised per tensor as the model runs. Linears alone."""
    activation = QuantizationSpec(
        dtype=torch.int8,
        quant_min=-128,
        quant_max=127,
        qscheme=torch.per_tensor_affine,
        is_dynamic=True,
        observer_or_fake_quant_ctr=PlaceholderObserver.with_args(eps=ACTIVATION_EPS),
    )
    config = QuantizationConfig(activation, None, _weight(), None)
    return XNNPACKQuantizer().set_operator_type(torch.ops.aten.linear.default, config)


def _weight() -> QuantizationSpec:
    """int8 weights per channel and symmetric."""
    return QuantizationSpec(
        dtype=torch.int8,
        quant_min=-127,
        quant_max=127,
        qscheme=torch.per_channel_symmetric,
        ch_axis=0,
        # its default smallest scale (2^-23), not the quantiser's 2^-12, which coarsens channels of small weights
        observer_or_fake_quant_ctr=WeightObserver,
    )


def embeddings_to_int8(graph_module: torch.fx.GraphModule) -> int:
    """Every lookup in a float table -> a lookup in int8 rows with a scale each, in place. Returns how many.

    torchao's own int8 nn.Embedding has no ExecuTorch kernel; `quantized_decomposed.embedding_byte` has.
    """
    graph, replaced = graph_module.graph, 0
    for node in list(graph.nodes):
        if node.target is not torch.ops.aten.embedding.default or node.args[0].op != "get_attr":
            continue
        table = _attribute(graph_module, node.args[0].target)
        if table.dtype is not torch.float32 or table.dim() != 2:
            continue
        rows, scales = int8_rows(table.detach().numpy())
        names = f"int8_embedding_{replaced}_rows", f"int8_embedding_{replaced}_scales"
        for name, array in zip(names, (rows, scales.ravel()), strict=True):
            graph_module.register_buffer(name, torch.from_numpy(array))
        with graph.inserting_before(node):
            lookup = graph.call_function(
                torch.ops.quantized_decomposed.embedding_byte.dtype,
                (graph.get_attr(names[0]), graph.get_attr(names[1]), None, -128, 127, node.args[1]),
                {"dtype": torch.float32},
            )
        lookup.meta = dict(node.meta)
        node.replace_all_uses_with(lookup)
        graph.erase_node(node)
        replaced += 1
    graph.eliminate_dead_code()
    graph_module.delete_all_unused_submodules()
    _delete_unused_tables(graph_module)
    graph_module.recompile()
    return replaced


def relu6_to_hardtanh(graph_module: torch.fx.GraphModule) -> int:
    """relu6 -> hardtanh(0, 6), in place. Returns how many.

    They are the same, but only the latter is known to XNNPACK's partitioner as something to fuse.
    """
    replaced = 0
    for node in graph_module.graph.nodes:
        if node.target is torch.ops.aten.relu6.default:
            node.target = torch.ops.aten.hardtanh.default
            node.args = (node.args[0], 0.0, 6.0)
            replaced += 1
    graph_module.recompile()
    return replaced


def _is_whole(node: torch.fx.Node) -> bool:
    """Whether a node's result is of integers or booleans."""
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and not value.is_floating_point()


def _attribute(module: torch.nn.Module, target: str) -> torch.Tensor:
    owner, _, name = target.rpartition(".")
    found: torch.Tensor = getattr(module.get_submodule(owner), name)
    return found


def _delete_unused_tables(graph_module: torch.fx.GraphModule) -> None:
    """Parameters that the graph does not read any more, or the float table would be exported with the int8 one."""
    read = {node.target for node in graph_module.graph.nodes if node.op == "get_attr"}
    for target in [name for name, _ in graph_module.named_parameters()]:
        if target not in read:
            owner, _, name = target.rpartition(".")
            delattr(graph_module.get_submodule(owner), name)


class PlainViews(ExportPass):  # type: ignore[misc]
    """Edge dialect: expansions to the shape a tensor has already are dropped, unsqueezes become views.

    Explicit attention is full of both (a batched product is expanded first), XNNPACK takes neither, and each would end
    a partition.
    """

    def call_operator(self, op: Any, args: tuple[Any, ...], kwargs: dict[str, Any], meta: Any) -> Any:
        """Called for every operator of the graph, in order."""
        shape = list(meta["val"].shape) if isinstance(meta.data.get("val"), torch.Tensor) else None
        if shape is not None and op is exir_ops.edge.aten.expand_copy.default and list(args[0].to_tensor().shape) == shape:
            return args[0]
        if shape is not None and op is exir_ops.edge.aten.unsqueeze_copy.default:
            return super().call_operator(exir_ops.edge.aten.view_copy.default, (args[0], shape), {}, meta)
        return super().call_operator(op, args, kwargs, meta)
