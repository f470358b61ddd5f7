"""Training, validation, calibration and evaluation sets share no example, by digest."""

from __future__ import annotations

from collections.abc import Mapping

from edgedeploy.errors import ClaimError
from exporter.subjects.base import Split, SplitName

#: an example that is in several sets stays in the last of these only: what is reported on is never cut
KEEP_LAST: tuple[SplitName, ...] = ("train", "validation", "calibration", "evaluation")


def drop_repeats(splits: Mapping[SplitName, Split]) -> dict[SplitName, Split]:
    """The same sets, an example that is in several of them kept in the last of KEEP_LAST alone.

    Repeats inside one set stay: they are its owner's weighting and cross no border.
    """
    seen: set[str] = set()
    kept: dict[SplitName, Split] = {}
    for name in reversed(KEEP_LAST):
        if name not in splits:
            continue
        digests = splits[name].example_digests()
        rows = [row for row, digest in enumerate(digests) if digest not in seen]
        kept[name] = splits[name] if len(rows) == len(digests) else splits[name].take(rows)
        seen.update(digests)
    return {name: kept[name] for name in KEEP_LAST if name in kept}


def require_disjoint(splits: Mapping[SplitName, Split]) -> None:
    """Raise ClaimError where two of the sets share an example."""
    where: dict[str, SplitName] = {}
    for name, split in splits.items():
        for digest in set(split.example_digests()):
            other = where.setdefault(digest, name)
            if other != name:
                raise ClaimError(
                    f"the {other} and {name} sets share an example (sha256 {digest[:12]}): a figure measured on one "
                    "would be flattered by the other. Remove it from one of them."
                )
