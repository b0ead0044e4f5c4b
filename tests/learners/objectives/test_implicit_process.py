from __future__ import annotations

import math

import pytest
import torch

from learners.objectives.implicit_process import outcome_pairs, trajectory_preference


def test_pairs_are_of_one_group_and_of_known_outcomes():
    better, worse = outcome_pairs(torch.tensor([1.0, 0.0, 0.0, 1.0, math.nan]), torch.tensor([0, 0, 0, 1, 1]))
    assert list(zip(better.tolist(), worse.tolist(), strict=True)) == [(0, 1), (0, 2)]


def test_the_loss_is_log_2_at_the_start_and_falls_with_the_mean_over_steps():
    better, worse = torch.tensor([0]), torch.tensor([1])
    steps = torch.tensor([2, 4])
    start = trajectory_preference(torch.zeros(2), steps, better, worse)
    assert start.tolist() == pytest.approx([math.log(2)])
    found = trajectory_preference(torch.tensor([3.0, -2.0]), steps, better, worse, beta=0.5)
    assert found.tolist() == pytest.approx([math.log(1 + math.exp(-0.5 * (1.5 + 0.5)))])
    nothing = torch.zeros(0, dtype=torch.long)
    assert trajectory_preference(torch.zeros(2), steps, nothing, nothing).shape == (0,)
    with pytest.raises(ValueError, match="got a trajectory of 0 steps"):
        trajectory_preference(torch.zeros(2), torch.tensor([0, 1]), better, worse)
