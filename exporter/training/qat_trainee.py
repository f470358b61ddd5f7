"""What quantisation-aware training trains: a subject's own module, run through its exported graph with fake quantisation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from torch.fx import GraphModule

_BATCH_NORM, _DROPOUT = torch.ops.aten.batch_norm.default, (torch.ops.aten.dropout.default, torch.ops.aten.dropout_.default)
#: where these operators have their flag for training
_BATCH_NORM_FLAG, _DROPOUT_FLAG = 5, 2


class Ends(nn.Module):
    """The range of one activation. low > high until something was seen."""

    low: Tensor
    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.tensor(float("inf")))
        self.register_buffer("high", torch.tensor(float("-inf")))

    @property
    def seen(self) -> bool:
        """Whether there is a range."""
        return bool(self.low <= self.high)

    def follow(self, x: Tensor, momentum: float) -> None:
        """Move towards the extremes of `x` by this share, all the way the first time."""
        low, high = torch.aminmax(x.float())
        if self.seen:
            low, high = self.low + momentum * (low - self.low), self.high + momentum * (high - self.high)
        self.low.copy_(low)
        self.high.copy_(high)


class Trainee(nn.Module):
    """A module with the ranges of its activations.

    Its state is the module's (under "model."), the ranges ("ranges.<number>.low" and ".high") and how many steps were
    made, so that a checkpoint of it is whole. The graph is not part of it: its parameters are the module's own tensors.
    Without a graph it only holds what was trained.

    freeze_at: the step from which ranges and batch norm statistics stay as they are.
    """

    step: Tensor

    def __init__(self, model: nn.Module, ranges: Sequence[Ends], graph: GraphModule | None = None, freeze_at: int = 0) -> None:
        super().__init__()
        self.model = model
        self.ranges = nn.ModuleList(ranges)
        self.freeze_at = freeze_at
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        # around nn.Module's own, which would register it
        object.__setattr__(self, "graph", graph)

    def train(self, mode: bool = True) -> Trainee:
        """Training or eval mode, of the graph: an exported module has no modes, its operators have flags."""
        self.training = mode
        if self.graph_module is not None:
            self._bind()
            self._set_modes()
        return self

    @property
    def graph_module(self) -> GraphModule | None:
        """The graph that is run."""
        found: GraphModule | None = self.__dict__["graph"]
        return found

    def forward(self, *inputs: Tensor) -> Any:
        """The model's outputs as int8 would have them. In training mode, one step."""
        graph = self.graph_module
        if graph is None:
            return self.model(*inputs)
        if self.training:
            if int(self.step) == self.freeze_at:
                self._set_modes()
            self.step += 1
        return graph(*inputs)

    def as_int8(self, on: bool) -> None:
        """Fake quantisation on or off, of weights and activations."""
        for module in self._fake():
            module.enable_fake_quant(on)

    def _fake(self) -> Iterator[Any]:
        from torchao.quantization.pt2e.fake_quantize import FakeQuantizeBase

        graph = self.graph_module
        return (module for module in graph.modules() if isinstance(module, FakeQuantizeBase)) if graph is not None else iter(())

    def _set_modes(self) -> None:
        """A function of mode and step alone, so that a resumed run agrees with one that was not interrupted."""
        follow = self.training and int(self.step) < self.freeze_at
        for module in self._fake():
            module.enable_observer(follow)
        graph = self.graph_module
        assert graph is not None
        changed = False
        for node in graph.graph.nodes:
            if node.target is _BATCH_NORM:
                index, flag = _BATCH_NORM_FLAG, follow
            elif node.target in _DROPOUT:
                index, flag = _DROPOUT_FLAG, self.training
            else:
                continue
            if node.args[index] is not flag:
                node.args = (*node.args[:index], flag, *node.args[index + 1 :])
                changed = True
        if changed:
            graph.recompile()

    def _bind(self) -> None:
        """Make the module's tensors those of the graph, again: a change of memory layout may have exchanged buffers."""
        graph = self.graph_module
        assert graph is not None
        # what the graph alone has, flags and constants, goes where the module went
        graph.to(self.step.device)
        modules = dict(graph.named_modules())
        for kind, tensors in (("_parameters", self.model.named_parameters), ("_buffers", self.model.named_buffers)):
            for name, tensor in tensors():
                owner, _, leaf = name.rpartition(".")
                there = getattr(modules.get(owner), kind, {})
                if leaf in there:
                    there[leaf] = tensor
