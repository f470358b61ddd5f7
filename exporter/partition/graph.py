"""The places where a float graph can be cut in two, and the cut itself.

The graph is torch.export's, in the order it computes: a cut is a position in that order, and what crosses it is every
tensor made before and used after. It is the float graph that is cut: a quantised one has its scales on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from edgedeploy.errors import UserError
from edgedeploy.signature import DType, Signature, TensorSpec

if TYPE_CHECKING:
    import torch
    from torch import fx, nn

#: an operator that every runtime computes together with the one before it: no cut goes between the two
_FUSED = (
    "aten.batch_norm", "aten._native_batch_norm", "aten.relu", "aten.relu_", "aten.hardtanh", "aten.hardtanh_",
    "aten.relu6", "aten.clamp", "aten.hardswish", "aten.hardswish_", "aten.silu", "aten.silu_",
)  # fmt: skip
#: an operator that is computed together with the one after it
_LEADS = ("aten.pad", "aten.constant_pad_nd")


@dataclass(frozen=True)
class Position:
    """A place to cut: right after the operator `after`, which is the last one of the first stage.

    module: the innermost module that computes it ("" where the model does itself). crossing: the tensors that the second
    stage needs of the first, and those of the model's own inputs that it needs. macs_before: multiply-accumulates of the
    first stage. index: of the operator, in `Graph.computed`.
    """

    index: int
    after: str
    module: str
    crossing: tuple[TensorSpec, ...]
    macs_before: int

    @property
    def nbytes(self) -> int:
        """Bytes that cross, in float."""
        return sum(spec.nbytes for spec in self.crossing)


@dataclass(frozen=True)
class Piece:
    """One stage as a float model of its own. Its tensors carry the names of the whole graph's, or of the signature's."""

    model: nn.Module
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True)
class Graph:
    """A traced float model. macs: of each operator in `computed`, in order."""

    module: fx.GraphModule
    signature: Signature
    computed: tuple[fx.Node, ...]
    macs: tuple[int, ...]

    @property
    def inputs(self) -> list[fx.Node]:
        """The model's inputs, in the signature's order."""
        return [node for node in self.module.graph.nodes if node.op == "placeholder"]

    @property
    def outputs(self) -> list[fx.Node]:
        """What the model gives, in the signature's order."""
        return list(self.module.graph.output_node().all_input_nodes)


def trace(model: nn.Module, signature: Signature, example: tuple[torch.Tensor, ...]) -> Graph:
    """The graph of a model in eval mode. Raises UserError for a model that torch.export cannot trace."""
    import torch

    try:
        module = torch.export.export(model, example).module(check_guards=False)
    except Exception as err:  # whatever the model's code raises under tracing
        first = next((line.strip() for line in str(err).splitlines() if line.strip()), type(err).__name__)
        raise UserError(f"this model cannot be partitioned, torch.export cannot trace it: {first[:300]}") from err
    computed = tuple(node for node in module.graph.nodes if node.op == "call_function")
    if len(module.graph.output_node().all_input_nodes) != len(signature.outputs):
        raise UserError("this model cannot be partitioned: one of its outputs is an input, a constant or given twice")
    return Graph(module, signature, computed, tuple(_macs(module, computed, example)))


def _macs(module: fx.GraphModule, computed: Sequence[fx.Node], example: tuple[torch.Tensor, ...]) -> list[int]:
    import torch
    from torch import fx
    from torch.utils.flop_counter import FlopCounterMode

    counted: dict[str, int] = {}

    class Counting(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            counter = FlopCounterMode(display=False)
            with counter:
                result = super().run_node(n)
            counted[n.name] = int(counter.get_total_flops()) // 2
            return result

    with torch.no_grad():
        Counting(module).run(*example)
    return [counted[node.name] for node in computed]


def positions(graph: Graph) -> list[Position]:
    """Every valid cut, in the graph's order: both stages compute something heavy, no operator is torn from the one it is
    fused with, and what crosses is plain tensors."""
    total = sum(graph.macs)
    given = set(graph.outputs)
    found = []
    before = 0
    for index, node in enumerate(graph.computed):
        before += graph.macs[index]
        if node in given or before == total:
            break  # a cut from here on would leave the second stage nothing to do
        if before == 0:
            continue
        crossing = _crossing(graph, index)
        specs = [_spec(graph, each) for each in crossing]
        if crossing and None not in specs and not any(_torn(each, graph.computed[: index + 1]) for each in crossing):
            found.append(Position(index, node.name, module_of(node), tuple(spec for spec in specs if spec), before))
    return found


def _crossing(graph: Graph, index: int) -> list[fx.Node]:
    """Inputs and operators up to `index` that an operator after it uses."""
    first = set(graph.computed[: index + 1])
    made = [*graph.inputs, *graph.computed[: index + 1]]
    return [node for node in made if any(user not in first for user in node.users)]


def _torn(node: fx.Node, first: Sequence[fx.Node]) -> bool:
    """Whether a cut with `node` crossing would part it from the operator it is fused with."""
    if node.op != "call_function":
        return False
    users = list(node.users)
    kind = str(node.target)
    if kind.startswith(_LEADS):
        return True
    return len(users) == 1 and users[0] not in first and str(users[0].target).startswith(_FUSED)


def _spec(graph: Graph, node: fx.Node) -> TensorSpec | None:
    """The node's tensor, None where it is none, or one of a shape or dtype that cannot travel."""
    import torch

    if node.op == "placeholder":
        return graph.signature.inputs[graph.inputs.index(node)]
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor) or not all(isinstance(dim, int) for dim in value.shape):
        return None
    dtype = str(value.dtype).removeprefix("torch.")
    if dtype not in ("float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bool") or not value.numel():
        return None
    return TensorSpec(name=node.name, dtype=cast(DType, dtype), shape=tuple(value.shape))


def module_of(node: fx.Node) -> str:
    """The path of the innermost module that this operator is of, "" for the model itself."""
    paths = module_paths(node)
    return paths[-1] if paths else ""


def module_paths(node: fx.Node) -> list[str]:
    """The paths of the modules that this operator is in, outermost first."""
    stack = node.meta.get("nn_module_stack") or {}
    names = [str(path).replace("L['self'].", "").replace("L['self']", "") for path, _ in stack.values()]
    return [name for name in names if name]


def cut(graph: Graph, position: Position) -> tuple[Piece, Piece]:
    """The two stages. They share the whole model's parameters; neither is changed by lowering the other."""
    first = set(graph.computed[: position.index + 1])
    crossing = _crossing(graph, position.index)
    specs = dict(zip(graph.inputs, graph.signature.inputs, strict=True)) | dict(zip(crossing, position.crossing, strict=True))
    used = [node for node in graph.inputs if any(user in first for user in node.users)]
    leaving = [node for node in crossing if node.op != "placeholder"]  # an input need not go through the first stage
    second = {node for node in graph.computed if node not in first}
    return (
        Piece(
            _stage(graph.module, first, used, leaving),
            tuple(specs[node] for node in used),
            tuple(specs[node] for node in leaving),
        ),
        Piece(
            _stage(graph.module, second, crossing, graph.outputs),
            tuple(specs[node] for node in crossing),
            graph.signature.outputs,
        ),
    )


def _stage(
    whole: fx.GraphModule, keep: set[fx.Node], ends_in: Sequence[fx.Node], ends_out: Sequence[fx.Node]
) -> fx.GraphModule:
    """The operators `keep` with the constants they use, as a module from `ends_in` to `ends_out`."""
    from torch import fx

    graph = fx.Graph()
    copied: dict[fx.Node, fx.Node] = {}
    for node in ends_in:
        copied[node] = graph.placeholder(node.name)
        copied[node].meta = dict(node.meta)
    for node in whole.graph.nodes:
        wanted = node in keep or (node.op == "get_attr" and any(user in keep for user in node.users))
        if wanted and node not in copied:
            copied[node] = graph.node_copy(node, lambda argument: copied[argument])
    graph.output(tuple(copied[node] for node in ends_out))
    graph.lint()
    return fx.GraphModule(whole, graph)
