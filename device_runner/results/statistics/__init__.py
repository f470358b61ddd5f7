"""The statistics of runs, over scipy: one file a question. The unit is the launch everywhere."""

from device_runner.results.statistics.effects import Effect, cliffs_delta
from device_runner.results.statistics.intervals import (
    CONFIDENCE,
    DRIFT_FROM,
    MIN_LAUNCHES,
    MIN_SAMPLES,
    estimate,
    quantile,
    scaled,
)
from device_runner.results.statistics.paired import mcnemar, wilcoxon
from device_runner.results.statistics.ranks import conover, holm, kruskal_wallis
from device_runner.results.statistics.ratios import ratio, unpaired_ratio

__all__ = [
    "CONFIDENCE",
    "DRIFT_FROM",
    "MIN_LAUNCHES",
    "MIN_SAMPLES",
    "Effect",
    "cliffs_delta",
    "conover",
    "estimate",
    "holm",
    "kruskal_wallis",
    "mcnemar",
    "quantile",
    "ratio",
    "scaled",
    "unpaired_ratio",
    "wilcoxon",
]
