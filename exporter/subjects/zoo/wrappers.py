"""Models of the zoos as modules of the signature's tensors alone: positional inputs, logits out.

Text models compute an attention mask and positions from the ids, with integer arithmetic that static quantisation and
some converters trip over. They are handed ready-made ones: a 4-D additive mask, positions, and token types.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

#: added to the score of a masked token: survives float16, and exp(-1e4) is 0 in float32
MASKED = -1e4


class ImageModel(nn.Module):
    """image float32 [b, 3, h, w] -> logits float32 [b, classes]."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        given: Any = self.model(image)
        logits: Tensor = given if isinstance(given, Tensor) else given.logits
        # some models give the features as they were pooled, [b, classes, 1, 1]
        return logits if logits.dim() == 2 else logits.flatten(1)


class TextModel(nn.Module):
    """input_ids, attention_mask (1 for a token, 0 for padding) and perhaps token_type_ids, int64 [b, l] -> logits [b, classes].

    Padding comes after the text. positions: what number the first token's position has, None where the model takes no
    positions. types: whether it takes token types; without such an input they are 0. additive: whether the mask is
    handed over as 4-D summands (a model with a mask of its own kind gets it as it comes).
    """

    positions: Tensor | None
    types: Tensor | None

    def __init__(self, model: nn.Module, length: int, *, positions: int | None, types: bool, additive: bool) -> None:
        super().__init__()
        self.model = model
        self.additive = additive
        numbers = None if positions is None else torch.arange(positions, positions + length)[None]
        self.register_buffer("positions", numbers, persistent=False)
        self.register_buffer("types", torch.zeros(1, length, dtype=torch.int64) if types else None, persistent=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        given: dict[str, Tensor] = {"attention_mask": attention_mask}
        if self.additive:
            given["attention_mask"] = ((1.0 - attention_mask.float()) * MASKED)[:, None, None, :]
        if token_type_ids is not None:
            given["token_type_ids"] = token_type_ids
        elif self.types is not None:
            given["token_type_ids"] = self.types.expand(input_ids.shape[0], -1)
        if self.positions is not None:
            given["position_ids"] = self.positions
        logits: Tensor = self.model(input_ids=input_ids, **given).logits
        return logits
