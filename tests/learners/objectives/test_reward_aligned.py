from __future__ import annotations

import pytest
import torch

from learners.objectives.reward_aligned import (
    batch_normalised,
    progress_ahead,
    reward_aligned_loss,
    reward_aligned_weights,
)


def test_progress_ahead_by_hand_and_beyond_the_end_the_last_frame_counts():
    assert progress_ahead(torch.tensor([0.0, 0.1, 0.4, 1.0]), 2).tolist() == pytest.approx([0.4, 0.9, 0.6, 0.0])
    with pytest.raises(ValueError, match="at least one frame"):
        progress_ahead(torch.zeros(3), 0)


def test_with_equal_gains_above_kappa_it_is_plain_cloning():
    losses = torch.tensor([1.0, 2.0, 6.0])
    weights = reward_aligned_weights(torch.full((3,), 0.2))
    assert weights.tolist() == [1, 1, 1]
    assert reward_aligned_loss(losses, weights).item() == pytest.approx(losses.mean().item())


def test_weights_by_hand():
    found = reward_aligned_weights(torch.tensor([0.5, 0.01, 0.0, -0.1]), kappa=0.01, mean=0.01, deviation=0.01)
    # above κ: 1; between: (r + 0.01) / 0.04; back: 0
    assert found.tolist() == pytest.approx([1, 0.5, 0.25, 0], abs=1e-4)
    gained = torch.tensor([0.3, -0.3])
    assert reward_aligned_weights(gained, kappa=1.0).tolist() == pytest.approx([0.75, 0], abs=1e-4)


def test_weights_of_a_batch_average_to_1_and_the_loss_is_the_same():
    losses, weights = torch.tensor([1.0, 3.0, 5.0]), torch.tensor([1.0, 0.5, 0.0])
    normalised = batch_normalised(weights)
    assert normalised.mean().item() == pytest.approx(1)
    assert reward_aligned_loss(losses, weights).item() == pytest.approx((normalised * losses).mean().item())
    assert reward_aligned_loss(losses, weights).item() == pytest.approx(2.5 / 1.5)
    assert batch_normalised(torch.zeros(2)).tolist() == [0, 0]
    assert reward_aligned_loss(losses, torch.zeros(3)).item() == 0


def test_what_is_null_is_in_neither_sum():
    gained = torch.tensor([0.5, torch.nan, 0.5])
    weights = reward_aligned_weights(gained)
    assert weights.isnan().tolist() == [False, True, False]
    assert reward_aligned_loss(torch.tensor([1.0, 100.0, 2.0]), weights).item() == pytest.approx(1.5)
    assert batch_normalised(weights)[0].item() == pytest.approx(1)
    with pytest.raises(ValueError, match="expected the same"):
        reward_aligned_loss(torch.zeros(2), weights)
    with pytest.raises(ValueError, match="kappa=-1"):
        reward_aligned_weights(gained, kappa=-1)
