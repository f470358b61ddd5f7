"""How a runtime's tensor is recognised as the one that a trained range is of."""

from __future__ import annotations

import numpy as np
import pytest

from exporter.trained_ranges import QUANTILES, TrainedRange, find, fingerprint, mark_as_json, read_mark

RNG = np.random.default_rng(0)
PICTURE = RNG.normal(size=(1, 8, 6, 5)).astype(np.float32)


def trained(values: np.ndarray) -> TrainedRange:  # type: ignore[type-arg]
    return TrainedRange(-2.0, 3.0, fingerprint(values))


def test_a_tensor_is_known_in_another_layout_and_by_other_kernels() -> None:
    others = [trained(RNG.normal(size=PICTURE.shape) * scale) for scale in (0.5, 0.8, 1.5)]
    own = trained(PICTURE)
    nhwc = np.transpose(PICTURE, (0, 2, 3, 1)) * (1 + 1e-5)
    assert find(nhwc, [*others, own]) is own


@pytest.mark.parametrize(
    "other",
    [PICTURE[:, :7], PICTURE * 1.2, np.maximum(PICTURE, 0), np.zeros_like(PICTURE), np.full_like(PICTURE, np.nan)],
    ids=["fewer values", "another scale", "after a ReLU", "nothing but zeros", "not a number"],
)
def test_another_tensor_is_not_taken_for_it(other: np.ndarray) -> None:  # type: ignore[type-arg]
    assert find(other, [trained(PICTURE)]) is None


def test_nothing_is_found_where_nothing_was_trained() -> None:
    assert find(PICTURE, []) is None


def test_a_mark_is_the_same_after_it_was_written_down() -> None:
    mark = fingerprint(PICTURE)
    assert read_mark(mark_as_json(mark)) == mark


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"count": 0, "quantiles": [0.0] * QUANTILES},
        {"count": "4", "quantiles": [0.0] * QUANTILES},
        {"count": 4, "quantiles": [0.0] * (QUANTILES - 1)},
        {"count": 4, "quantiles": [float("inf")] * QUANTILES},
        {"count": 4, "quantiles": ["0"] * QUANTILES},
    ],
)
def test_what_is_no_mark_is_refused(content: dict[str, object]) -> None:
    with pytest.raises((KeyError, ValueError, TypeError)):
        read_mark(content)
