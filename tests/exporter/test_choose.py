"""Which calibration is kept: the nearest to the float model, whatever a few examples of accuracy say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from exporter.choose import Candidate, divergence, nearest
from exporter.runtimes.base import CalibrationMethod


def test_divergence_is_that_of_the_probabilities() -> None:
    reference = np.log(np.array([[0.5, 0.5], [0.9, 0.1]], np.float32))
    # what is added to all classes of an example says nothing
    assert divergence(reference, reference + np.array([[3.0], [-40.0]], np.float32)) == pytest.approx(0.0, abs=1e-6)
    other = np.log(np.array([[0.25, 0.75], [0.9, 0.1]], np.float32))
    assert divergence(reference, other) == pytest.approx((0.5 * math.log(2) + 0.5 * math.log(0.5 / 0.75)) / 2, rel=1e-5)
    assert divergence(np.array([[1000.0, -1000.0]]), np.array([[-1000.0, 1000.0]])) == pytest.approx(2000.0)


def test_a_network_that_ends_in_a_softmax_diverges_as_its_logits_do() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (50, 10))
    other = logits + rng.normal(0, 0.3, logits.shape)
    probabilities, others = (np.exp(each) / np.exp(each).sum(1, keepdims=True) for each in (logits, other))
    assert divergence(probabilities.astype(np.float32), others.astype(np.float32)) == pytest.approx(
        divergence(logits, other), rel=0.01
    )
    # in steps of an int8 softmax: zeros, and sums that are not quite 1
    assert 0 < divergence(probabilities, np.round(others * 256) / 256) < 0.1


def test_scores_that_are_no_probabilities_are_logits() -> None:
    # not below 0, as after a ReLU, and one row adds up to 1 by chance
    reference = np.array([[0.25, 0.75], [2.0, 1.0]])
    assert divergence(reference, reference[:, ::-1]) == pytest.approx(
        (0.5 * math.tanh(0.25) + 1.0 * math.tanh(0.5)) / 2, rel=1e-6
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_no_number_is_farthest(bad: float) -> None:
    assert divergence(np.zeros((2, 3)), np.array([[0.0, 0.0, 0.0], [0.0, bad, 0.0]])) == math.inf


def _candidate(method: CalibrationMethod, accuracy: float, mean_abs: float, apart: float | None) -> Candidate:
    return Candidate("full", method, (), accuracy, mean_abs, apart)


def test_a_few_examples_of_accuracy_do_not_decide() -> None:
    # fashion-lite2 on onnx, as measured on 1,000 validation images
    measured = [
        _candidate("minmax", 0.931, 0.2222, 0.00301),
        _candidate("percentile", 0.933, 0.2194, 0.00290),
        _candidate("entropy", 0.937, 0.5694, 0.01359),
    ]
    assert nearest(measured).method == "percentile"
    assert nearest([_candidate("minmax", 0.9, 1.0, 0.5), _candidate("entropy", 0.91, 2.0, 0.5)]).method == "entropy"


def test_of_divergences_as_good_as_none_the_more_accurate_is_kept() -> None:
    # a network of two layers on 32 images, as measured on executorch
    measured = [_candidate("entropy", 0.96875, 0.0015, 1.2e-6), _candidate("minmax", 1.0, 0.0019, 1.8e-6)]
    assert nearest(measured).method == "minmax"


def test_without_classes_the_mean_error_decides() -> None:
    assert nearest([_candidate("minmax", 0.0, 0.2, None), _candidate("entropy", 0.0, 0.1, None)]).method == "entropy"
