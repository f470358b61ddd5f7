"""The order of an experiment's launches: interleaved, so that what drifts on a device meets every artifact alike."""

from __future__ import annotations

import random
from collections.abc import Sequence

#: (block, run)
Step = tuple[int, str]


def abba(runs: Sequence[str], launches: int, seed: int) -> list[Step]:
    """`launches` blocks with one launch of each run: an order drawn by `seed`, then that order reversed; then one drawn anew.

    A steady drift (a chip that warms up) then favours each artifact in one block by what it costs it in the next, and no
    artifact always comes after the same other one.
    """
    random_order = random.Random(seed)  # noqa: S311 - an order, not a secret
    drawn = list(runs)
    steps: list[Step] = []
    for block in range(launches):
        if block % 2 == 0:
            random_order.shuffle(drawn)
        else:
            drawn.reverse()
        steps += [(block, run) for run in drawn]
    return steps
