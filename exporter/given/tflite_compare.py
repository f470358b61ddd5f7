"""Where a .tflite that was made of another leaves it: all tensors of the two side by side, matched by their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from exporter.backends.tflite_coverage import QUANTISED
from exporter.backends.tflite_observe import Observed
from exporter.runtimes.lowering import Feeds

#: a tensor's name in a .tflite may list all that was fused into it
_NAME_LENGTH = 120


def first_divergence(original: Path, made: Path, examples: Sequence[tuple[Feeds, Feeds]], limit: float) -> str:
    """In words, the first operator of `original`, in the order in which it runs, after which `made` holds something else.

    examples: what each of the two is fed, by its own names. limit: relative L2 difference that counts as something else.
    Both run on LiteRT's own kernels, since a delegate does not keep what is inside of it.
    """
    first, second = Observed(original), Observed(made)
    named: dict[str, list[int]] = {}
    for index, tensor in enumerate(second.tensors):
        if not tensor.constant:
            named.setdefault(tensor.name, []).append(index)
    # (what is said of it, index in the original, index in what was made), in the order in which they are computed
    pairs: list[tuple[str, int, int]] = []
    inputs = [index for index, tensor in enumerate(first.tensors) if tensor.name in first.inputs and not tensor.constant]
    computed = [(node.kind, index) for node in first.nodes for index in node.outputs if index >= 0]
    for kind, index in [*(("the input", index) for index in inputs), *computed]:
        name = first.tensors[index].name
        for called, how in ((name, ""), (f"{name}{QUANTISED}", " as it is quantised")):
            there = named.get(called, []) if name else []
            if len(there) == 1 and first.tensors[index].shape == second.tensors[there[0]].shape:
                pairs.append((f"{kind} {name[:_NAME_LENGTH]}{how}", index, there[0]))
    if not pairs:
        return "where they part is not known (no tensor of the one has its like in the other)"
    worst = [0.0] * len(pairs)
    for feeds, made_feeds in examples:
        first.run(feeds)
        second.run(made_feeds)
        for place, (_, index, like) in enumerate(pairs):
            worst[place] = max(worst[place], _difference(first, index, second, like))
    for place, (said, _, _) in enumerate(pairs):
        if worst[place] > limit:
            before = f"; up to {pairs[place - 1][0]} they agree" if place else ""
            return f"they part at {said} (relative difference {worst[place]:.2g}){before}"
    return (
        f"they part at no operator when LiteRT's own kernels run them (relative difference {max(worst):.2g} at most in the "
        f"{len(pairs)} tensors that both have): it is the delegate's doing, or adds up to the end"
    )


def _difference(first: Observed, index: int, second: Observed, like: int) -> float:
    """Relative L2 difference of the two tensors as the last example left them."""
    expected, found = first.real(index), second.real(like)
    gap = float(np.linalg.norm(found - expected))
    return gap / max(float(np.linalg.norm(expected)), 1e-12) if np.isfinite(gap) else float("inf")
