"""MiniLM (Wang et al. 2020), a small BERT encoder, with a mean-pooled classifier on top.

Our own definition, so that export sees plain operators only: attention is two matrix products and a softmax, the
mask is additive, positions are a constant, and no index is computed. It gives the same output as Hugging Face's
BertModel. Nothing assumes a head's width: a pruned model has narrower ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Config:
    """The shape of all-MiniLM-L6-v2, cut to `length` positions."""

    layers: int = 6
    classes: int = 2
    length: int = 64
    vocabulary: int = 30_522
    hidden: int = 384
    heads: int = 12
    intermediate: int = 1536
    eps: float = 1e-12
    dropout: float = 0.1


class Attention(nn.Module):
    """Self-attention. x [b, l, hidden], additive mask [b, 1, 1, l] -> [b, l, hidden]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.scale = (config.hidden // config.heads) ** -0.5
        self.query = nn.Linear(config.hidden, config.hidden)
        self.key = nn.Linear(config.hidden, config.hidden)
        self.value = nn.Linear(config.hidden, config.hidden)
        self.output = nn.Linear(config.hidden, config.hidden)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        batch, length, _ = x.shape

        def split(y: Tensor) -> Tensor:
            return y.view(batch, length, self.heads, -1).transpose(1, 2)

        query, key, value = split(self.query(x)), split(self.key(x)), split(self.value(x))
        scores = torch.matmul(query, key.transpose(-1, -2)) * self.scale + mask
        mixed = torch.matmul(self.dropout(torch.softmax(scores, dim=-1)), value)
        out: Tensor = self.output(mixed.transpose(1, 2).reshape(batch, length, -1))
        return out


class Layer(nn.Module):
    """One encoder layer, normalised after each half as in BERT. [b, l, hidden] -> the same."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.attention_norm = nn.LayerNorm(config.hidden, eps=config.eps)
        self.up = nn.Linear(config.hidden, config.intermediate)
        self.down = nn.Linear(config.intermediate, config.hidden)
        self.norm = nn.LayerNorm(config.hidden, eps=config.eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
        out: Tensor = self.norm(x + self.dropout(self.down(functional.gelu(self.up(x)))))
        return out


class MiniLM(nn.Module):
    """input_ids int64 [b, l], attention_mask int64 [b, l] of 0 and 1, l <= length -> logits float32 [b, classes].

    word and position (which holds the embedding of token type 0 as well) are frozen: training leaves them alone.
    """

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or Config()
        self.word = nn.Embedding(config.vocabulary, config.hidden)
        self.position = nn.Parameter(torch.zeros(config.length, config.hidden), requires_grad=False)
        self.word.weight.requires_grad_(False)
        self.embedding_norm = nn.LayerNorm(config.hidden, eps=config.eps)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.classifier = nn.Linear(config.hidden, config.classes)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        present = attention_mask.float()
        return self.classify(self.encode(input_ids, present), present)

    def classify(self, x: Tensor, present: Tensor) -> Tensor:
        """The last layer's output [b, l, hidden] -> logits [b, classes]."""
        logits: Tensor = self.classifier(self.dropout(self.pool(x, present)))
        return logits

    def encode(self, input_ids: Tensor, present: Tensor) -> Tensor:
        """The last layer's output, [b, l, hidden]. present: float32 [b, l], 1 where there is a token."""
        return self.layer_outputs(input_ids, present)[-1]

    def layer_outputs(self, input_ids: Tensor, present: Tensor) -> list[Tensor]:
        """Every layer's output, [b, l, hidden] each. present: float32 [b, l], 1 where there is a token."""
        length = input_ids.shape[1]
        # no slice is left in the graph at the full length, which is the one that is exported
        position = self.position if length == self.config.length else self.position[:length]
        x = self.dropout(self.embedding_norm(self.word(input_ids) + position))
        # -1e4 and not -inf: it survives float16 and int8, and exp(-1e4) is 0 in float32
        mask = ((1.0 - present) * -1e4)[:, None, None, :]
        outputs = []
        for layer in self.layers:
            x = layer(x, mask)
            outputs.append(x)
        return outputs

    @staticmethod
    def pool(x: Tensor, present: Tensor) -> Tensor:
        """The mean over the tokens that are not padding, [b, hidden]."""
        weight = present[:, :, None]
        return (x * weight).sum(dim=1) / weight.sum(dim=1)


#: published name inside `encoder.layer.N.` -> ours inside `layers.N.`
_LAYER_NAMES = {
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.output",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "up",
    "output.dense": "down",
    "output.LayerNorm": "norm",
}


def rename_published(published: Mapping[str, Tensor], length: int, layers: Sequence[int]) -> dict[str, Tensor]:
    """The published tensors under our names: embeddings cut to `length` positions, and these layers in this order.

    The classifier is not among them. Raises KeyError where a tensor is missing.
    """
    state = {
        "word.weight": published["embeddings.word_embeddings.weight"],
        "position": published["embeddings.position_embeddings.weight"][:length]
        + published["embeddings.token_type_embeddings.weight"][0],
        "embedding_norm.weight": published["embeddings.LayerNorm.weight"],
        "embedding_norm.bias": published["embeddings.LayerNorm.bias"],
    }
    for ours, theirs in enumerate(layers):
        for old, new in _LAYER_NAMES.items():
            for part in ("weight", "bias"):
                state[f"layers.{ours}.{new}.{part}"] = published[f"encoder.layer.{theirs}.{old}.{part}"]
    return state
