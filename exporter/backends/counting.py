"""Multiply-accumulates of heavy operators from their shapes, and the coverage made of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from edgedeploy.artifact import Coverage, HeavyOp

#: as many as a manifest takes; a model with more is summarised by its shares alone
MOST_LISTED = 2000


def convolution(output: Sequence[int], weight_per_output: int) -> int:
    """MACs of a convolution: every output element is a dot product over one filter (channels/group x kernel)."""
    return math.prod(output) * weight_per_output


def product(output: Sequence[int], inner: int) -> int:
    """MACs of a matrix product, batched or not: every output element is a dot product of `inner` elements."""
    return math.prod(output) * inner


def coverage(
    method: str, heavy: Iterable[HeavyOp], *, partitions: int | None = None, off_backend: Mapping[str, int] | None = None
) -> Coverage:
    """The shares of the MACs. With no heavy operator at all, both shares are those of an empty sum: 1 fast, 0 int8."""
    operators = tuple(heavy)
    total = sum(op.macs for op in operators)
    fast = sum(op.macs for op in operators if op.fast)
    int8 = sum(op.macs for op in operators if op.compute == "int8")
    return Coverage(
        method=method,
        macs=total,
        fast_share=fast / total if total else 1.0,
        int8_share=int8 / total if total else 0.0,
        partitions=partitions,
        off_backend=dict(sorted((off_backend or {}).items())),
        heavy=operators[:MOST_LISTED],
    )
