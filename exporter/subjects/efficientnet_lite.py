"""EfficientNet-Lite (Tan & Le 2019; Google's `lite` variant: ReLU6, no squeeze-and-excitation), for any classes.

Our own definition, so that neither torchvision, timm nor the weights' own package has to be imported. It gives the
same output as the class the pretrained weights were published for. Heights and widths must be multiples of 32: the
asymmetric "same" padding that TensorFlow uses at stride 2 is then always the same, and can be constants.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

#: TensorFlow's batch norm, as the weights were trained: epsilon, and the share of a new batch in the running averages
BATCH_NORM_EPS = 1e-3
BATCH_NORM_MOMENTUM = 0.01


@dataclass(frozen=True)
class Variant:
    """How much wider and deeper than Lite0, and the dropout before the classifier."""

    width: float
    depth: float
    dropout: float


VARIANTS = {
    "lite0": Variant(1.0, 1.0, 0.2),
    "lite1": Variant(1.0, 1.1, 0.2),
    "lite2": Variant(1.1, 1.2, 0.3),
    "lite3": Variant(1.2, 1.4, 0.3),
    "lite4": Variant(1.4, 1.8, 0.3),
}


@dataclass(frozen=True)
class Stage:
    """`repeats` blocks in a row; only the first has the stride."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
#: the lite variants never widen these two
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280


def round_channels(channels: int, width: float, divisor: int = 8) -> int:
    """`channels` times `width`, to the nearest multiple of `divisor`, never more than a tenth below."""
    scaled = channels * width
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * scaled else rounded


class ConvNorm(nn.Module):
    """Convolution and batch norm, ReLU6 after it unless `activation` is False. [b, in, h, w] -> [b, out, h/s, w/s]."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        activation: bool = True,
    ) -> None:
        super().__init__()
        before = (kernel - stride) // 2
        # TensorFlow's "same" at stride 2 pads one more row below and column right than above and left. A convolution
        # cannot say that, so it gets its own pad, which every runtime lowers or fuses. At stride 1 it is symmetric.
        self.pad = (before, before + 1, before, before + 1) if stride == 2 else None
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, 0 if stride == 2 else kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPS, momentum=BATCH_NORM_MOMENTUM)
        self.act = nn.ReLU6() if activation else None

    def forward(self, x: Tensor) -> Tensor:
        if self.pad is not None:
            x = functional.pad(x, self.pad)
        x = self.norm(self.conv(x))
        out: Tensor = x if self.act is None else self.act(x)
        return out


class InvertedResidual(nn.Module):
    """MobileNet-v2's block: widen by 1x1, depthwise, narrow by 1x1; the input is added where the shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        wide = inputs * expand
        self.expand = ConvNorm(inputs, wide) if expand != 1 else None
        self.depthwise = ConvNorm(wide, wide, kernel, stride, groups=wide)
        self.project = ConvNorm(wide, outputs, activation=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out = x if self.expand is None else self.expand(x)
        out = self.project(self.depthwise(out))
        result: Tensor = out + x if self.residual else out
        return result


class EfficientNetLite(nn.Module):
    """image float32 [b, 3, h, w], h and w multiples of 32 -> logits float32 [b, classes].

    stages: how many of the seven there are. One that is cut short has no head convolution either: the classifier
    takes the mean of the last stage's channels.
    """

    def __init__(self, variant: str = "lite0", classes: int = 1000, stages: int = len(STAGES)) -> None:
        super().__init__()
        scale = VARIANTS[variant]
        self.stem = ConvNorm(3, STEM_CHANNELS, 3, 2)
        blocks = []
        inputs = STEM_CHANNELS
        for index, stage in enumerate(STAGES[:stages]):
            outputs = round_channels(stage.channels, scale.width)
            # the lite variants deepen neither the first nor the last stage
            fixed = index in (0, len(STAGES) - 1)
            repeats = stage.repeats if fixed else math.ceil(stage.repeats * scale.depth)
            for repeat in range(repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(InvertedResidual(inputs, outputs, stage.kernel, stride, stage.expand))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        features = HEAD_CHANNELS if stages == len(STAGES) else inputs
        self.head = ConvNorm(inputs, features) if stages == len(STAGES) else None
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(scale.dropout)
        self.classifier = nn.Linear(features, classes)

    def forward(self, image: Tensor) -> Tensor:
        x = self.blocks(self.stem(image))
        x = self.pool(x if self.head is None else self.head(x))
        logits: Tensor = self.classifier(self.dropout(torch.flatten(x, 1)))
        return logits


#: published name -> ours, first match wins
_RENAMES = (
    (r"^_conv_stem\.", "stem.conv."),
    (r"^_bn0\.", "stem.norm."),
    (r"^_conv_head\.", "head.conv."),
    (r"^_bn1\.", "head.norm."),
    (r"^_fc\.", "classifier."),
    (r"^_blocks\.(\d+)\._expand_conv\.", r"blocks.\1.expand.conv."),
    (r"^_blocks\.(\d+)\._bn0\.", r"blocks.\1.expand.norm."),
    (r"^_blocks\.(\d+)\._depthwise_conv\.", r"blocks.\1.depthwise.conv."),
    (r"^_blocks\.(\d+)\._bn1\.", r"blocks.\1.depthwise.norm."),
    (r"^_blocks\.(\d+)\._project_conv\.", r"blocks.\1.project.conv."),
    (r"^_blocks\.(\d+)\._bn2\.", r"blocks.\1.project.norm."),
)


def rename_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published state dict under our names. KeyError for a name that is not EfficientNet-Lite's."""
    renamed = {}
    for name, tensor in state.items():
        for pattern, replacement in _RENAMES:
            ours, count = re.subn(pattern, replacement, name)
            if count:
                renamed[ours] = tensor
                break
        else:
            raise KeyError(f"not an EfficientNet-Lite weight: {name}")
    return renamed
