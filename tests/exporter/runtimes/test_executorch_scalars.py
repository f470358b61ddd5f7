"""A model that adds to indices, as relative positions do, is quantised: the indices stay whole numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from exporter.backends.executorch_graph import quantiser


class Shifted(nn.Module):
    """Looks up the token that is two further on, half as large as it was, and classifies it."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(12, 8)
        self.out = nn.Linear(8, 3)

    def forward(self, ids: Tensor) -> Tensor:
        found: Tensor = self.out(self.table(ids + 2) * 0.5)
        return found


def test_indices_stay_whole_numbers() -> None:
    torch.manual_seed(0)
    model, ids = Shifted().eval(), torch.tensor([[0, 3, 9]])
    graph = torch.export.export(model, (ids,)).module()
    for scheme in ("linear", "full"):
        prepared = prepare_pt2e(graph, quantiser(scheme))
        with torch.no_grad():
            assert torch.allclose(prepared(ids), model(ids), atol=1e-6)
            quantised = convert_pt2e(prepared)
            assert torch.allclose(quantised(ids), model(ids), atol=0.05)
        scalars = [node.args[1] for node in quantised.graph.nodes if node.target is torch.ops.aten.add.Tensor]
        assert 2 in scalars
        graph = torch.export.export(model, (ids,)).module()
