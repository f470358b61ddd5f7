"""The ends of an ONNX file have the signature's names, whatever is inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from exporter import runtimes
from tests.exporter.runtimes import standins


class Named(nn.Module):
    """torch's exporter calls what is inside `relu` and `linear`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        inside = torch.relu(self.layer(x))
        return inside + 1, inside - 1


def test_ends_called_as_something_inside(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((8, 4), dtype=np.float32)
    ends = (standins.spec("relu", (1, 4)), standins.spec("linear", (1, 4)))
    work = standins.work(Named(), {"x": values}, ends)
    made = runtimes.get("onnx").lower(work, tmp_path / "m.onnx")
    graph = onnx.load(str(made.file)).graph
    assert [end.name for end in graph.output] == ["relu", "linear"]
    written = [name for node in graph.node for name in node.output]
    assert len(written) == len(set(written))
    got = runtimes.get("onnx").open(made.file)({"x": values[:1]})
    with torch.no_grad():
        expected = work.model(torch.from_numpy(values[:1]))
    for name, array in zip(("relu", "linear"), expected, strict=True):
        np.testing.assert_allclose(got[name], array.numpy(), atol=1e-6)


class Scaled(nn.Module):
    """Its weight is called `scale`."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((4,), 2.0))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x) * self.scale


def test_an_end_called_as_a_weight(tmp_path: Path) -> None:
    values = np.ones((8, 4), np.float32)
    work = standins.work(Scaled(), {"x": values}, (standins.spec("scale", (1, 4)),))
    made = runtimes.get("onnx").lower(work, tmp_path / "m.onnx")
    np.testing.assert_array_equal(runtimes.get("onnx").open(made.file)({"x": values[:1]})["scale"], 2 * values[:1])
