"""Launches whose times are made, with something planted in them or with nothing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from device_runner.samples import Samples

Floats = npt.NDArray[np.float64]


def quiet(count: int = 1000, ms: float = 1.0, seed: int = 0) -> Floats:
    """Times in ms, scattering by 2 %."""
    found: Floats = ms * np.exp(0.02 * np.random.default_rng(seed).standard_normal(count))
    return found


def taken(times_ms: Floats, warmup_ms: Floats | None = None) -> Samples:
    """Back to back, after a warm-up."""
    parts = [np.zeros(0) if warmup_ms is None else warmup_ms, times_ms]
    elapsed = (np.concatenate(parts) * 1e6).astype(np.int64)
    pairs = np.stack([np.cumsum(elapsed) - elapsed, elapsed], axis=1)
    return Samples(pairs[: len(parts[0])], pairs[len(parts[0]) :])


def stepped(count: int = 1000, first: int = 150, slower: float = 1.2) -> Floats:
    """The first ones slower."""
    times = quiet(count)
    times[:first] *= slower
    return times
