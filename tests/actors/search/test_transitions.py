from __future__ import annotations

import math

import pytest
import torch

from actors.search.transitions import filtered


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_one_candidate_is_taken_as_it_comes():
    found = filtered(torch.tensor([[0.7, 0.5, 9.0]]), seeded())
    assert found.candidate.tolist() == [0, 0, 0] and found.stop.tolist() == [False, True, False]


def test_without_temperature_the_best_is_taken_and_with_little_nearly_always():
    rewards = torch.randn(6, 200, generator=seeded(1))
    assert torch.equal(filtered(rewards, seeded(), temperature=0.0).candidate, rewards.argmax(0))
    nearly = filtered(rewards, seeded(), temperature=1e-3).candidate == rewards.argmax(0)
    assert nearly.float().mean() > 0.95


def test_equal_rewards_are_drawn_alike():
    found = filtered(torch.full((4, 4000), math.log(2)), seeded())
    assert torch.bincount(found.candidate, minlength=4).sub(1000).abs().max() < 120
    assert not found.stop.any()  # log 2 is above 0.6


def test_chances_are_those_of_the_softmax():
    rewards = torch.tensor([[0.1 * math.log(3)], [0.0]]).expand(2, 4000)
    share = (filtered(rewards, seeded(), temperature=0.1).candidate == 0).float().mean()
    assert share.item() == pytest.approx(0.75, abs=0.03)


def test_what_has_no_reward_is_not_drawn_and_where_nothing_has_one_the_rollout_ends():
    rewards = torch.tensor([[torch.nan, torch.nan], [0.2, torch.nan]])
    for temperature in (0.0, 0.1):
        found = filtered(rewards, seeded(), temperature, least=-math.inf)
        assert found.candidate.tolist() == [1, 0] and found.stop.tolist() == [False, True]


def test_what_cannot_be_drawn_from_is_refused():
    with pytest.raises(ValueError, match="one candidate at least"):
        filtered(torch.zeros(0, 3), seeded())
    with pytest.raises(ValueError, match="and at least 0"):
        filtered(torch.zeros(2, 3), seeded(), temperature=-0.1)
