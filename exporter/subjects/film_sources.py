"""Where film-minilm's data come from."""

from __future__ import annotations

from pathlib import Path

from exporter.fetch import Download, PyPI, Url, fetch
from exporter.subjects.base import Progress, Source

_INNER = "additional_resources/hutto_ICWSM_2014.tar.gz"
_SENTENCES_MEMBER = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
SENTENCES = Download(
    "movieReviewSnippets_GroundTruth.txt",
    "c8293b0d942e90e223ea2c0955d969040d1a1be514a978b9af0698940bd13350",
    1_383_098,
    (
        # only the sdist has the sentences, the wheel leaves them out
        PyPI(
            "vaderSentiment",
            "3.3.2",
            "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
            (f"vaderSentiment-3.3.2/{_INNER}", _SENTENCES_MEMBER),
            sdist=True,
        ),
        Url(f"https://github.com/cjhutto/vaderSentiment/raw/master/{_INNER}", (_SENTENCES_MEMBER,)),
    ),
)
SOURCE = Source(
    "film review sentences with mean ratings by 20 people each (Hutto & Gilbert 2014)",
    "PyPI vaderSentiment 3.3.2 (sdist), or cjhutto/vaderSentiment",
    "MIT",
    SENTENCES.sha256,
)


def sentences(progress: Progress | None = None) -> Path:
    """The rated sentences, in the cache."""
    return fetch(SENTENCES, progress)
