"""Models to prune, small, with the structures that pruning must see through or leave alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from exporter.subjects.minilm import Config, MiniLM
from exporter.training.prune_groups import Inputs
from tests.exporter.runtimes import standins

TINY = Config(layers=2, classes=3, length=16, vocabulary=50, hidden=32, heads=4, intermediate=48)


class Concatenated(nn.Module):
    """Two convolutions side by side, and one that reads both."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 12, 3, padding=1)
        self.both = nn.Conv2d(20, 8, 1)
        self.head = nn.Linear(8 * 16, 4)

    def forward(self, image: Tensor) -> Tensor:
        x = torch.relu(self.both(torch.cat([self.left(image).relu(), self.right(image).relu()], 1)))
        head: Tensor = self.head(torch.flatten(x, 1))
        return head


class Grouped(nn.Module):
    """A convolution in two groups, which is left whole, before one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.grouped = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=2)
        self.last, self.head = nn.Conv2d(8, 16, 1), nn.Linear(16, 4)

    def forward(self, image: Tensor) -> Tensor:
        head: Tensor = self.head(self.last(self.grouped(self.first(image).relu()).relu()).relu().mean((2, 3)))
        return head


class Mixing(nn.Module):
    """A softmax over the channels of `first`: taking one out changes all others."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        head: Tensor = self.head(self.second(torch.softmax(self.first(x), -1)).relu())
        return head


def minilm() -> tuple[nn.Module, Inputs]:
    torch.manual_seed(0)
    model = MiniLM(TINY).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    ids = torch.randint(1, TINY.vocabulary, (2, TINY.length))
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    return model, (ids, mask)


def cnn() -> tuple[nn.Module, Inputs]:
    work = standins.cnn(examples=8)
    assert work.calibration is not None
    return work.model, (torch.from_numpy(work.calibration.batch(0, 2)["image"]),)


def bert_with_heads_written_down() -> tuple[nn.Module, Inputs]:
    work = standins.bert(examples=8)
    assert work.calibration is not None
    batch = work.calibration.batch(0, 2)
    return work.model, (torch.from_numpy(batch["input_ids"]), torch.from_numpy(batch["attention_mask"]))


def seeded(make: Callable[[], nn.Module], *shape: int) -> tuple[nn.Module, Inputs]:
    torch.manual_seed(0)
    return make().eval(), (torch.randn(2, *shape),)
