from __future__ import annotations

import math

import pytest
import torch

from learners.language.reward_losses import bradley_terry
from learners.objectives.verified_pairs import first_verified, pair_weights, verified_pair_loss


def test_the_first_verified_answer_is_chosen_and_where_the_rule_cannot_tell_none_is():
    verified = torch.tensor([[0.0, 1.0, 1.0], [0.0, math.nan, 0.0], [math.nan, math.nan, 1.0]])
    assert first_verified(verified).tolist() == [1, -1, 2]
    with pytest.raises(ValueError, match=r"expected \[P, G\]"):
        first_verified(torch.zeros(3))


def test_a_pair_counts_where_its_corruption_is_wrong_and_known_to_be():
    chosen, corrupted = torch.tensor([1, -1, 2, 0]), torch.tensor([0.0, 0.0, 1.0, math.nan])
    assert pair_weights(chosen, corrupted).tolist() == [1.0, 0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="expected"):
        pair_weights(chosen, corrupted[:2])


def test_by_hand_and_with_all_pairs_it_is_bradley_terry():
    chosen, rejected = torch.tensor([math.log(3), 5.0, 1.0]), torch.tensor([0.0, -5.0, 1.0])
    found = verified_pair_loss(chosen, rejected, torch.tensor([1.0, 0.0, 1.0]))
    assert found.item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    everything = verified_pair_loss(chosen, rejected, torch.ones(3))
    torch.testing.assert_close(everything, bradley_terry(chosen, rejected).mean())


def test_without_a_pair_that_counts_the_second_stage_changes_nothing():
    # What there is of a pair that does not count may be anything, and the model stays as it was: Cooper is GRPO then.
    rewards = torch.tensor([1.0, math.nan, math.inf], requires_grad=True)
    loss = verified_pair_loss(rewards, torch.zeros(3), pair_weights(torch.full((3,), -1), torch.zeros(3)))
    assert loss.item() == 0.0
    optimiser = torch.optim.SGD([rewards], 0.1)
    loss.backward()
    assert torch.equal(rewards.grad, torch.zeros(3))
    optimiser.step()
    torch.testing.assert_close(rewards.detach(), torch.tensor([1.0, math.nan, math.inf]), equal_nan=True)


def test_a_pair_that_does_not_count_gives_no_gradient_to_one_that_does():
    rewards = torch.tensor([0.0, math.nan], requires_grad=True)
    verified_pair_loss(rewards, torch.zeros(2), torch.tensor([1.0, 0.0])).backward()
    assert rewards.grad.tolist() == [-0.5, 0.0]
    with pytest.raises(ValueError, match="no weight below 0"):
        verified_pair_loss(rewards, rewards, torch.tensor([1.0, -1.0]))
