from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from learners.objectives.return_conditioned import conditioned_loss, contrast, returns_to_go

ALL = torch.ones(1, 3, dtype=torch.bool)


def test_returns_to_go_by_hand_and_each_reward_by_itself():
    rewards = torch.tensor([[[1.0, 10.0], [2.0, 0.0], [3.0, 20.0]]])
    assert returns_to_go(rewards, ALL).tolist() == [[[6.0, 30.0], [5.0, 20.0], [3.0, 20.0]]]
    assert returns_to_go(rewards, ALL, 0.5)[0, 0].tolist() == [1 + 1 + 0.75, 10 + 5]
    short = torch.tensor([[True, True, False]])
    assert returns_to_go(rewards, short)[0, :, 0].tolist() == [3.0, 2.0, 0.0]


def test_what_is_not_known_makes_unknown_the_returns_that_need_it_and_no_others():
    rewards = torch.tensor([[[1.0], [float("nan")], [3.0]]])
    assert returns_to_go(rewards, ALL)[0, :, 0].isnan().tolist() == [True, True, False]


def test_without_a_contrast_it_is_cloning_of_the_steps_that_count():
    logits, actions = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([[0, 1, 2]])
    mask = torch.tensor([[True, False, True]])
    by_hand = F.cross_entropy(logits[mask], actions[mask])
    assert torch.allclose(conditioned_loss(logits, actions, mask), by_hand)
    assert torch.allclose(conditioned_loss(logits, actions, mask, torch.full((1, 3), 2.0), 0.5), by_hand + 1)
    assert torch.allclose(conditioned_loss(logits, actions, mask, torch.full((1, 3), 2.0), 0.0), by_hand)


def test_the_contrast_by_hand():
    one, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    # cosine 1 with the positive, 0 with both negatives
    found = contrast(one, 2 * one, torch.stack([other, -other]), 0.5)
    assert found.item() == pytest.approx(math.log(1 + 2 * math.exp(-2)))
    assert contrast(one, other, torch.stack([one]), 0.07).item() > 10


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="and above 0"):
        contrast(torch.ones(1, 2), torch.ones(1, 2), torch.ones(1, 1, 2), 0.0)
    with pytest.raises(ValueError, match="expected \\[B, T, K\\]"):
        returns_to_go(torch.ones(1, 3), ALL)
    with pytest.raises(ValueError, match="at least 0"):
        conditioned_loss(torch.zeros(1, 3, 2), torch.zeros(1, 3, dtype=torch.long), ALL, None, -1.0)
