"""20 newsgroups "by date" (Lang 1995): messages of 20 newsgroups in 1993 as four disjoint sets.

The publisher's test part holds the later 40 % of each group's messages. It is harder than rows drawn at random from
the training part, whose threads and authors a model has seen; so the other sets are blocks of each group as well, in
the file's order, the validation set the last of them:

training    the first 87 % of each group in the training part
calibration the next 3 %: quantisers see it
validation  the last 10 %: recipes are chosen on it
evaluation  the test part without the 7 texts that are in the training part too: 7,521 messages, only reported on

The texts are lower-case letters and spaces. A text is compared as the token ids that the model sees (its first 64): an
example that is in two sets stays in the one last named in `disjoint.KEEP_LAST` alone. The files have one group
after the other; each set is put into the order of its examples' digests, so that its first n are a fair sample.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable
from functools import cache

import numpy as np

from edgedeploy.errors import UserError
from exporter.subjects.base import Split, SplitName
from exporter.subjects.disjoint import drop_repeats
from exporter.subjects.minilm_tokens import LENGTH, preprocess, tokenise

LABELS = (
    "alt.atheism", "comp.graphics", "comp.os.ms-windows.misc", "comp.sys.ibm.pc.hardware", "comp.sys.mac.hardware",
    "comp.windows.x", "misc.forsale", "rec.autos", "rec.motorcycles", "rec.sport.baseball", "rec.sport.hockey",
    "sci.crypt", "sci.electronics", "sci.med", "sci.space", "soc.religion.christian", "talk.politics.guns",
    "talk.politics.mideast", "talk.politics.misc", "talk.religion.misc",
)  # fmt: skip
_BLOCKS: dict[SplitName, tuple[float, float]] = {
    "train": (0.0, 0.87),
    "calibration": (0.87, 0.9),
    "validation": (0.9, 1.0),
}
#: lines of names, types and roles before the first message
_HEADER_LINES = 3
Message = tuple[str, int]


def read_messages(table: str) -> list[Message]:
    """(text, class) of every message of a table "group <tab> text" that has a text. Raises UserError for another table."""
    number = {label: place for place, label in enumerate(LABELS)}
    csv.field_size_limit(len(table) + 1)
    messages = []
    for row in list(csv.reader(io.StringIO(table, newline=""), delimiter="\t"))[_HEADER_LINES:]:
        # the files end with an empty line and have a few messages without a word
        if not row or (len(row) == 2 and not row[1].strip()):
            continue
        if len(row) != 2 or row[0] not in number:
            raise UserError(f"the newsgroups have a row of {len(row)} fields, not a group and a text: {str(row)[:80]}")
        messages.append((row[1], number[row[0]]))
    return messages


def _split(messages: Iterable[Message]) -> Split:
    """The messages' token ids, in the order of their digests."""
    texts, labels = zip(*messages, strict=True)
    # a word is a token at least: what is beyond cannot be seen, and need not be tokenised
    ids = tokenise([" ".join(text.split(maxsplit=LENGTH)[:LENGTH]) for text in texts])
    order = sorted(range(len(ids)), key=lambda row: (hashlib.sha256(ids[row].tobytes()).digest(), row))
    return Split({"ids": ids[order]}, np.array(labels, np.int64)[order], preprocess)


@cache
def _splits() -> dict[SplitName, Split]:
    from exporter.subjects import news_sources

    earlier = read_messages(news_sources.earlier().read_text(encoding="utf-8"))
    later = read_messages(news_sources.later().read_text(encoding="utf-8"))
    known = {text for text, _ in earlier}
    groups = [[message for message in earlier if message[1] == label] for label in range(len(LABELS))]
    sets = {
        name: _split(m for group in groups for m in group[int(start * len(group)) : int(stop * len(group))])
        for name, (start, stop) in _BLOCKS.items()
    }
    sets["evaluation"] = _split(message for message in later if message[0] not in known)
    return drop_repeats(sets)


def split(name: SplitName) -> Split:
    """One of the four sets; the files are fetched on first use."""
    return _splits()[name]
