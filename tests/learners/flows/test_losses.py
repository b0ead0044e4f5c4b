from __future__ import annotations

import math

import pytest
import torch

from learners.flows.losses import clipped_losses, flow_dpo, matching_losses, noised
from learners.flows.sampler import Path


def test_a_matching_loss_by_hand_and_none_where_the_velocity_is_right():
    clean, noise = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    assert noised(clean, noise, torch.tensor([0.25])).tolist() == [[0.75, 0.5]]
    assert matching_losses(noise - clean, clean, noise).tolist() == [0.0]
    assert matching_losses(torch.zeros(1, 2), clean, noise).tolist() == [5.0]
    with pytest.raises(ValueError, match="expected the same"):
        matching_losses(torch.zeros(1, 3), clean, noise)


def test_a_clipped_loss_by_hand_and_minus_the_advantage_where_nothing_has_moved():
    was = torch.zeros(2, 2)
    path = Path(torch.zeros(2, 3, 1), was, range(2), torch.zeros(2, 2, 1), 0.5)
    advantage = torch.tensor([[1.0], [-1.0]])
    assert clipped_losses(was, path, advantage).tolist() == [[-1.0, -1.0], [1.0, 1.0]]
    moved = torch.tensor([[math.log(1.5), math.log(0.5)], [math.log(1.5), math.log(0.5)]])
    found = clipped_losses(moved, path, advantage)
    assert torch.allclose(found, torch.tensor([[-1.2, -0.5], [1.5, 0.8]]))
    with pytest.raises(ValueError, match=r"expected \[N, 1\]"):
        clipped_losses(was, path, torch.zeros(2))


def test_preferences_of_flows_begin_at_log_2_and_fall_as_the_chosen_is_matched_better():
    losses = torch.tensor([[1.0, 2.0], [1.0, 2.0]])
    assert torch.allclose(flow_dpo(losses, losses, 3.0), torch.full((2,), math.log(2)))
    chosen = torch.tensor([[0.5], [1.0]])  # half better than the reference
    rejected = torch.tensor([[1.5], [1.0]])  # half worse
    assert float(flow_dpo(chosen, rejected, 2.0)) == pytest.approx(math.log(1 + math.exp(-2.0)))
    with pytest.raises(ValueError, match="beta > 0"):
        flow_dpo(chosen, rejected, 0.0)
