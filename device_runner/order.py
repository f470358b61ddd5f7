"""The order of an experiment's launches: interleaved, so that what drifts on a device meets every artifact alike."""

from __future__ import annotations

import random
from collections.abc import Sequence

#: (block, run)
Step = tuple[int, str]


def abba(runs: Sequence[str], launches: int, seed: int) -> list[Step]:
    """`launches` blocks with one launch of each run: in an order drawn by `seed`, then that order reversed, and so on.

    A steady drift (a chip that warms up) then favours each artifact in one block by what it costs it in the next.
    """
    drawn = list(runs)
    random.Random(seed).shuffle(drawn)  # noqa: S311 - an order, not a secret
    return [(block, run) for block in range(launches) for run in (drawn if block % 2 == 0 else reversed(drawn))]
