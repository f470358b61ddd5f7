"""Activation ranges for static quantisation, estimated from histograms in bounded memory.

Three methods that estimate, the same for every runtime, so that a difference between runtimes is never one of calibration:

minmax      everything seen fits.
percentile  99.99 % of the values seen fit, the rest saturates (half of it at either end).
entropy     the range whose int8 image loses the least information, as Kullback-Leibler divergence between the
            distribution clipped to it and the same distribution in 255 steps (Migacz, "8-bit inference with
            TensorRT", GTC 2017), taken over the signed values, so that it fits asymmetric quantisation.

And `trained`: the ranges that quantisation-aware training gave the model, of the tensors that are recognised; min-max of
the others.

Real zeros are counted apart: an affine scheme always represents zero exactly, and after a ReLU they would drown the
distribution that the entropy method is to look at.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgedeploy.errors import UserError
from exporter import trained_ranges
from exporter.runtimes.base import CalibrationMethod
from exporter.trained_ranges import TrainedRange

#: bins on either side of zero; the limit is a power of two, so that at least half of them are in use
HALF_BINS = 2048
#: share of the values that the percentile method keeps
KEPT = 0.9999
#: steps of an int8 range
LEVELS = 255
#: how many bins two neighbouring candidates of the entropy method are apart
STRIDE = 16

#: how many values are counted at once: their intermediate results stay in a core's cache
_PIECE = 16384
#: limits above the one, no more bins than the other: the quotient of the two is a normal float32, every bin's number too
_TINY, _EXACT = 2.0**-100, 2**22

Counts = npt.NDArray[np.int64]


class Histogram:
    """Values of one tensor, counted in 2 * half_bins equal bins over [-limit, limit].

    The limit is the smallest power of two that holds everything seen. It doubles by merging neighbouring bins, so the
    counts stay exact and do not depend on the order in which values came.
    """

    def __init__(self, half_bins: int = HALF_BINS) -> None:
        if half_bins < 1 or half_bins & (half_bins - 1):
            raise ValueError("half_bins must be a power of two")
        self.half_bins = half_bins
        self.counts: Counts = np.zeros(2 * half_bins, np.int64)
        self.limit = 0.0
        self.zeros = 0
        self.low = math.inf
        self.high = -math.inf

    @property
    def total(self) -> int:
        """How many values were counted, zeros too."""
        return int(self.counts.sum()) + self.zeros

    @property
    def edges(self) -> npt.NDArray[np.float64]:
        """The 2 * half_bins + 1 edges of the bins."""
        return np.linspace(-self.limit, self.limit, 2 * self.half_bins + 1)

    def add(self, values: npt.NDArray[Any]) -> None:
        """Count values of any shape, infinities left out. Raises ValueError for a NaN: no range holds it."""
        flat = np.asarray(values, np.float32).ravel()
        low, high = (float(flat.min()), float(flat.max())) if flat.size else (0.0, 0.0)
        if not (math.isfinite(low) and math.isfinite(high)):
            if math.isnan(low) or math.isnan(high):
                raise ValueError("a value is not a number (NaN)")
            flat = flat[np.isfinite(flat)]
            low, high = (float(flat.min()), float(flat.max())) if flat.size else (0.0, 0.0)
        if not flat.size:
            return
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._grow(max(-self.low, self.high))
        if self.limit == 0.0:
            self.zeros += flat.size
            return
        # the bins' number and the limit are powers of two, so a float32 times their quotient is exact, if it stays normal
        kind = np.float32 if _TINY < self.limit <= self.half_bins <= _EXACT else np.float64
        scale, last = kind(self.half_bins / self.limit), kind(self.half_bins - 1)
        for start in range(0, flat.size, _PIECE):
            piece = flat[start : start + _PIECE]
            place = np.multiply(piece, scale, dtype=kind)
            np.floor(place, out=place)
            np.minimum(place, last, out=place)
            place += kind(self.half_bins)
            zeros = int(np.count_nonzero(piece == 0))
            self.counts += np.bincount(place.astype(np.int64), minlength=2 * self.half_bins)
            self.counts[self.half_bins] -= zeros
            self.zeros += zeros

    def _grow(self, magnitude: float) -> None:
        if magnitude <= self.limit:
            return
        limit = 2.0 ** math.ceil(math.log2(magnitude))
        if limit < magnitude:  # log2 rounded down
            limit *= 2
        if self.limit > 0.0:
            factor = min(int(limit / self.limit), self.half_bins)
            kept = self.half_bins // factor
            merged = self.counts.reshape(2 * kept, factor).sum(axis=1)
            self.counts = np.zeros_like(self.counts)
            self.counts[self.half_bins - kept : self.half_bins + kept] = merged
        self.limit = limit

    def range(self, method: CalibrationMethod) -> tuple[float, float]:
        """(low, high) by the method, never wider than what was seen; (0, 0) where nothing was."""
        if self.low > self.high:
            return 0.0, 0.0
        if method == "minmax" or self.limit == 0.0:
            return self.low, self.high
        low, high = percentile_range(self) if method == "percentile" else entropy_range(self)
        return max(low, self.low), min(high, self.high)


def percentile_range(histogram: Histogram, kept: float = KEPT) -> tuple[float, float]:
    """The bin edges that leave at most (1 - kept) / 2 of the values outside, at either end."""
    counts = histogram.counts.copy()
    counts[histogram.half_bins] += histogram.zeros
    allowed = (1.0 - kept) / 2.0 * counts.sum()
    cumulated = np.cumsum(counts)
    first = int(np.searchsorted(cumulated, allowed, side="right"))
    last = len(counts) - 1 - int(np.searchsorted(np.cumsum(counts[::-1]), allowed, side="right"))
    edges = histogram.edges
    return float(edges[first]), float(edges[last + 1])


def divergence_when_clipped(counts: Counts, first: int, last: int, levels: int = LEVELS) -> float:
    """Kullback-Leibler divergence (nats) between the counts clipped to bins first..last and their image in `levels` steps.

    The reference gets what lies outside in its outermost bins, as saturation does. The image does not: it spreads the
    counts of each step evenly over those of its bins that the reference fills.
    """
    inside = counts[first : last + 1].astype(np.float64)
    reference = inside.copy()
    reference[0] += counts[:first].sum()
    reference[-1] += counts[last + 1 :].sum()
    step = np.arange(inside.size) * levels // inside.size
    filled = reference > 0
    per_step = np.bincount(step, inside, levels)
    bins_per_step = np.bincount(step, filled, levels)
    image = np.where(filled, (per_step / np.maximum(bins_per_step, 1))[step], 0.0)
    if not inside.sum():
        return math.inf
    reference /= reference.sum()
    # a step that only saturation fills has no image: a tiny one keeps the divergence finite, and large
    image = np.maximum(image / image.sum(), 1e-12)
    seen = reference > 0
    return float(np.sum(reference[seen] * np.log(reference[seen] / image[seen])))


def entropy_range(histogram: Histogram, levels: int = LEVELS, stride: int = STRIDE) -> tuple[float, float]:
    """The range [-t, t], cut to what was seen, with the least divergence; the widest where several are equal."""
    middle, edges = histogram.half_bins, histogram.edges
    filled = np.flatnonzero(histogram.counts)
    if not filled.size:
        return histogram.low, histogram.high
    first, last = int(filled[0]), int(filled[-1])
    best, chosen = math.inf, (first, last)
    for reach in range(max(last + 1 - middle, middle - first), 0, -stride):
        low, high = max(first, middle - reach), min(last, middle + reach - 1)
        # with fewer bins than steps the image is the distribution itself, and the divergence says nothing
        if high - low + 1 < levels and best < math.inf:
            break
        divergence = divergence_when_clipped(histogram.counts, low, high, levels)
        if divergence < best:
            best, chosen = divergence, (low, high)
    return float(edges[chosen[0]]), float(edges[chosen[1] + 1])


class Observed(Histogram):
    """A histogram that knows the trained range which is its tensor's own, recognised in what it holds first."""

    def __init__(self, trained: Sequence[TrainedRange] = ()) -> None:
        super().__init__()
        self.trained: TrainedRange | None = None
        self._candidates = tuple(trained)

    def add(self, values: npt.NDArray[Any]) -> None:
        """Count values of any shape. Raises ValueError for a NaN."""
        super().add(values)
        if self._candidates:
            self.trained = trained_ranges.find(values, self._candidates)
            self._candidates = ()

    def range(self, method: CalibrationMethod) -> tuple[float, float]:
        """(low, high) by the method: as trained where it was."""
        if method == "trained" and self.trained is not None:
            return self.trained.low, self.trained.high
        return super().range("minmax" if method == "trained" else method)


def trained_share(found: int, of: int) -> dict[str, Any]:
    """What the manifest says of a scheme with trained ranges: how many of its int8 activations have theirs."""
    return {"trained_ranges": f"{found} of {of} tensors", "trained_share": round(found / max(of, 1), 4)}


class Ranges:
    """Histograms of many tensors, by name: observed once, read by any method.

    trained: ranges that tensors are recognised as having, by what each holds of the first example observed.
    """

    def __init__(self, trained: Sequence[TrainedRange] = ()) -> None:
        self._trained = tuple(trained)
        self._histograms: dict[str, Observed] = {}

    def observe(self, name: str, values: npt.NDArray[Any]) -> None:
        """Count one more array of the tensor. Raises UserError for a NaN."""
        if name not in self._histograms:
            self._histograms[name] = Observed(self._trained)
        try:
            self._histograms[name].add(values)
        except ValueError as err:
            raise UserError(f"tensor {name} cannot be calibrated: {err}") from err

    def by(self, method: CalibrationMethod) -> dict[str, tuple[float, float]]:
        """(low, high) of every tensor observed."""
        return {name: histogram.range(method) for name, histogram in self._histograms.items()}

    def trained_share(self, quantised: Collection[str]) -> dict[str, Any]:
        """As `trained_share`, of these tensors; nothing where there are no trained ranges."""
        if not self._trained:
            return {}
        of = [histogram for name, histogram in self._histograms.items() if name in quantised]
        return trained_share(sum(histogram.trained is not None for histogram in of), len(of))
