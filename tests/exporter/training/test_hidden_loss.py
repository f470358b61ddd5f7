"""The loss between layers' outputs, against its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exporter.training.distill import hidden_loss


def test_it_is_the_squared_error_over_the_teachers_mean_square_where_there_are_tokens() -> None:
    rng = np.random.default_rng(3)
    student, teacher = rng.normal(size=(2, 3, 4, 5, 6))
    present = np.array([[1, 1, 1, 1, 0], [1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 1]])[:, :, None]
    # [layers, b, l, hidden]
    shares = (((student - teacher) ** 2) * present).sum((1, 2, 3)) / ((teacher**2) * present).sum((1, 2, 3))
    got = hidden_loss(list(torch.tensor(student)), list(torch.tensor(teacher)), torch.tensor(present[:, :, 0]).float())
    assert float(got) == pytest.approx(shares.mean(), rel=1e-5)


def test_equal_layers_are_no_loss_zeros_are_one_and_size_does_not_matter() -> None:
    like = torch.randn(2, 7, 4, generator=torch.Generator().manual_seed(0))
    present = torch.ones(2, 7)
    assert float(hidden_loss([like], [like], present)) == 0
    assert float(hidden_loss([torch.zeros_like(like)], [like], present)) == pytest.approx(1)
    assert float(hidden_loss([like * 30], [like * 10], present)) == pytest.approx(4, rel=1e-5)


def test_padding_does_not_count_and_layers_must_be_as_many() -> None:
    like = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0))
    other = like.clone()
    other[:, 2] = 99
    assert float(hidden_loss([other], [like], torch.tensor([[1.0, 1.0, 0.0]]))) == 0
    with pytest.raises(ValueError, match="zip"):
        hidden_loss([like], [like, like], torch.ones(1, 3))
