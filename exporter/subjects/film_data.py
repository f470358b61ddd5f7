"""Film review sentences, positive or negative, as four disjoint sets.

10,605 sentences of the set that came with VADER (Hutto & Gilbert 2014), each with the mean rating of 20 people from
-4 to 4. Above 0 is "positive"; 37 rated exactly 0 count as "negative". The file has the positives first, so each
set is a block of its own out of either class, in the file's order:

training    the first 77 % of each class
calibration the next 3 %: quantisers see it
validation  the next 10 %: recipes are chosen on it
evaluation  the last 10 %, 1,062 sentences: only reported on
Two sentences are in the file twice, both times in the evaluation block. No sentence is in two sets (checked on every
load; one that were would stay in the one last named in `disjoint.KEEP_LAST` alone). Sentences are compared as the
token ids that the model sees; 6 of the 10,605 are longer than those and cut.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from edgedeploy.errors import UserError
from exporter.subjects.base import Split, SplitName
from exporter.subjects.disjoint import drop_repeats
from exporter.subjects.minilm_tokens import preprocess, tokenise

LABELS = ("negative", "positive")
_BLOCKS: dict[SplitName, tuple[float, float]] = {
    "train": (0.0, 0.77),
    "calibration": (0.77, 0.8),
    "validation": (0.8, 0.9),
    "evaluation": (0.9, 1.0),
}


def read_rated(text: str) -> list[tuple[str, float]]:
    """(sentence, mean rating) of every line "id <tab> rating <tab> sentence". Raises UserError for another line."""
    rated = []
    for line in text.replace("\r", "").split("\n"):
        if not line:
            continue
        fields = line.split("\t")
        if len(fields) != 3:
            raise UserError(f"the film sentences have a line of {len(fields)} fields instead of 3: {line[:80]!r}")
        rated.append((fields[2], float(fields[1])))
    return rated


@cache
def _splits() -> dict[SplitName, Split]:
    from exporter.subjects.film_sources import sentences

    rated = read_rated(sentences().read_text(encoding="utf-8"))
    ids = tokenise([sentence for sentence, _ in rated])
    positive = np.array([rating > 0 for _, rating in rated])
    classes = [np.flatnonzero(positive == label) for label in (True, False)]

    def block(start: float, stop: float) -> Split:
        rows = np.concatenate([of[int(start * len(of)) : int(stop * len(of))] for of in classes])
        return Split({"ids": ids[rows]}, positive[rows].astype(np.int64), preprocess)

    return drop_repeats({name: block(*ends) for name, ends in _BLOCKS.items()})


def split(name: SplitName) -> Split:
    """One of the four sets; the files are fetched on first use."""
    return _splits()[name]
