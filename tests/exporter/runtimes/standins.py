"""Small models with the operators of the real subjects, so that every runtime lowers them in seconds."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgedeploy.signature import DType, Signature, TensorSpec
from exporter.runtimes.base import Work
from exporter.subjects.base import Split

SIZE, CLASSES = 24, 5
VOCABULARY, LENGTH, HIDDEN, HEADS, WIDE, LAYERS = 6000, 16, 32, 4, 64, 2


class Separable(nn.Module):
    """Depthwise and pointwise convolution with ReLU6; at stride 2 padded as TensorFlow does, else added to its input."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride, self.residual = stride, stride == 1 and inputs == outputs
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, 0 if stride == 2 else 1, groups=inputs, bias=False)
        self.norm = nn.BatchNorm2d(inputs)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        padded = functional.pad(x, (0, 1, 0, 1)) if self.stride == 2 else x
        out: Tensor = self.pointwise(functional.relu6(self.norm(self.depthwise(padded))))
        return x + out if self.residual else out


class Cnn(nn.Module):
    """image [b, 3, 24, 24] -> logits [b, 5]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.blocks = nn.Sequential(Separable(8, 8, 1), Separable(8, 16, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(16, CLASSES)

    def forward(self, image: Tensor) -> Tensor:
        x = self.blocks(functional.relu6(self.stem(image)))
        logits: Tensor = self.classifier(torch.flatten(self.pool(x), 1))
        return logits


#: multiply-accumulates by hand: output height x width x channels x filter
CNN_MACS = {
    "convolution": 12 * 12 * 8 * 27 + 12 * 12 * 8 * 8 + 6 * 6 * 16 * 8,
    "depthwise convolution": 12 * 12 * 8 * 9 + 6 * 6 * 8 * 9,
    "linear": 16 * CLASSES,
}


class Block(nn.Module):
    """One encoder layer with explicit attention."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.output = (nn.Linear(HIDDEN, HIDDEN) for _ in range(4))
        self.up, self.down = nn.Linear(HIDDEN, WIDE), nn.Linear(WIDE, HIDDEN)
        self.first, self.second = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        batch, length, _ = x.shape

        def split(y: Tensor) -> Tensor:
            return y.view(batch, length, HEADS, -1).transpose(1, 2)

        query, key, value = split(self.query(x)), split(self.key(x)), split(self.value(x))
        scores = torch.matmul(query, key.transpose(-1, -2)) / math.sqrt(HIDDEN // HEADS) + mask
        mixed = torch.matmul(torch.softmax(scores, -1), value).transpose(1, 2).reshape(batch, length, -1)
        x = self.first(x + self.output(mixed))
        out: Tensor = self.second(x + self.down(functional.gelu(self.up(x))))
        return out


class Bert(nn.Module):
    """input_ids, attention_mask int64 [b, 16] -> logits [b, 5]."""

    def __init__(self) -> None:
        super().__init__()
        self.word = nn.Embedding(VOCABULARY, HIDDEN)
        self.position = nn.Parameter(torch.randn(LENGTH, HIDDEN))
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.classifier = nn.Linear(HIDDEN, CLASSES)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        present = attention_mask.float()
        mask = ((1.0 - present) * -1e4)[:, None, None, :]
        x = self.word(input_ids) + self.position
        for block in self.blocks:
            x = block(x, mask)
        weight = present[:, :, None]
        logits: Tensor = self.classifier((x * weight).sum(1) / weight.sum(1))
        return logits


BERT_MACS = {
    "linear": LAYERS * LENGTH * (4 * HIDDEN * HIDDEN + 2 * HIDDEN * WIDE) + HIDDEN * CLASSES,
    "matrix product": LAYERS * 2 * LENGTH * LENGTH * HIDDEN,
}
TABLE_BYTES = 4 * VOCABULARY * HIDDEN


class TwoEnds(nn.Module):
    """Two inputs, of which the second is integers, and two outputs, in a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, values: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        scaled = values * counts
        return self.linear(scaled), scaled.reshape(2, 2)


def spec(name: str, shape: tuple[int, ...], dtype: DType = "float32") -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape)


def work(
    model: nn.Module,
    inputs: dict[str, npt.NDArray[Any]],
    outputs: tuple[TensorSpec, ...],
    family: Literal["convolutional", "transformer"] = "convolutional",
    target: str = "x86_64-vnni",
) -> Work:
    """Work whose calibration set is `inputs`, name -> [n, ...]."""
    count = len(next(iter(inputs.values())))
    specs = tuple(spec(name, (1, *array.shape[1:]), array.dtype.name) for name, array in inputs.items())
    signature = Signature(task="other", inputs=specs, outputs=outputs)
    return Work(model.eval(), signature, family, target, Split(inputs, np.zeros(count, np.int64), dict))


def cnn(examples: int = 24, target: str = "x86_64-vnni") -> Work:
    """The CNN with batch norms that have seen data."""
    torch.manual_seed(0)
    model, rng = Cnn(), np.random.default_rng(0)
    images = rng.standard_normal((examples, 3, SIZE, SIZE), dtype=np.float32)
    with torch.no_grad():
        for _ in range(30):
            model(torch.from_numpy(images))
        model.classifier.weight *= 4
    return work(model, {"image": images}, (spec("logits", (1, CLASSES)),), target=target)


def bert(examples: int = 24) -> Work:
    """The encoder, with weights large enough that inputs differ in what comes out."""
    torch.manual_seed(0)
    model, rng = Bert(), np.random.default_rng(0)
    with torch.no_grad():
        for block in model.blocks:
            for linear in (block.value, block.output, block.up, block.down):
                linear.weight *= 2
        model.classifier.weight *= 4
    lengths = rng.integers(6, LENGTH + 1, examples)
    mask = (np.arange(LENGTH)[None] < lengths[:, None]).astype(np.int64)
    ids = rng.integers(1, VOCABULARY, (examples, LENGTH)) * mask
    return work(model, {"input_ids": ids, "attention_mask": mask}, (spec("logits", (1, CLASSES)),), "transformer")


def said_by_torch(given: Work) -> npt.NDArray[np.float32]:
    """The first output of the float model over the calibration set, [n, ...]."""
    assert given.calibration is not None
    rows = []
    for index in range(len(given.calibration)):
        batch = given.calibration.batch(index, index + 1)
        with torch.no_grad():
            rows.append(given.model(*(torch.from_numpy(batch[spec.name]) for spec in given.signature.inputs)).numpy())
    return np.concatenate(rows)
