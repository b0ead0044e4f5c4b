from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learners.losses import normalised
from learners.objectives.in_distribution import InDistribution

NUMBERS = st.lists(st.floats(-2, 2, width=32), min_size=6, max_size=6)


def columns(values):
    """Time-major, two episodes of three steps."""
    return torch.tensor(values, dtype=torch.float32).view(3, 2)


def test_the_last_steps_of_a_success_count_most_and_what_is_not_known_nothing():
    mask = torch.tensor([[1, 1, 1], [1, 1, 1], [1, 0, 1]], dtype=torch.bool)
    weights = InDistribution(boost=4, decay=0.5).weights(torch.tensor([1.0, 0.0, float("nan")]), mask)
    assert weights.tolist() == [[2, 1, 0], [3, 1, 0], [5, 0, 0]]
    half = InDistribution(boost=4, decay=0.5).weights(torch.tensor([0.0, 0.5, 1.0]), mask)
    assert half[:, 1].tolist() == [2, 3, 0]
    assert (InDistribution(**InDistribution.presets["unweighted"]).weights(torch.ones(3), mask) == mask).all()


@given(NUMBERS, NUMBERS, NUMBERS)
def test_at_a_half_and_with_equal_weights_the_critic_is_sarsa(values, q_values, rewards):
    part = InDistribution(expectile=0.5, boost=0.0)
    value, q, reward = (torch.tensor(n).view(1, -1) for n in (values, q_values, rewards))
    after, ended = torch.roll(value, 1), torch.tensor([False, True] * 3)
    weight = part.weights(torch.ones(2), torch.ones(3, 2, dtype=torch.bool)).flatten()
    loss = part.critic.critic_loss(q, value, reward[0], after, ended, q, weight)
    target = reward + part.gamma * torch.where(ended, 0.0, after)
    assert loss.item() == pytest.approx(((target - q) ** 2).mean().item() + ((q - value) ** 2).mean().item(), rel=1e-4)


@given(NUMBERS, NUMBERS)
def test_without_lambda_a_process_reward_is_the_error_of_one_step(rewards, values):
    reward, value = columns(rewards), torch.cat([columns(values), torch.ones(1, 2)])
    ended = torch.tensor([[0, 0], [0, 0], [1, 0]], dtype=torch.bool)
    found = InDistribution(lambda_=0.0, gamma=0.9).process_rewards(reward, ended, value)
    after = torch.where(ended, 0.0, value[1:])
    torch.testing.assert_close(found, reward + 0.9 * after - value[:-1])


def test_process_rewards_by_hand():
    # The reward of the end reaches the first step through two steps of γ λ.
    part = InDistribution(gamma=1.0, lambda_=0.5)
    ended = torch.tensor([[False], [False], [True]])
    found = part.process_rewards(torch.tensor([[0.0], [0.0], [1.0]]), ended, torch.zeros(4, 1))
    assert found.flatten().tolist() == [0.25, 0.5, 1.0]


@given(NUMBERS, NUMBERS)
def test_where_the_policy_has_not_moved_the_gradient_is_that_of_the_advantages(log_probs, rewards):
    here = torch.tensor(log_probs, requires_grad=True)
    advantage, mask = torch.tensor(rewards), torch.tensor([1, 1, 1, 1, 1, 0], dtype=torch.bool)
    InDistribution().policy_loss(here, here.detach(), advantage, mask).backward()
    expected = torch.where(mask, -normalised(advantage, mask) / 5, 0.0)
    torch.testing.assert_close(here.grad, expected)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="expected \\[B\\], \\[T, B\\]"):
        InDistribution().weights(torch.ones(3), torch.ones(3, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match="expected 0 to 1"):
        InDistribution().weights(torch.tensor([2.0]), torch.ones(3, 1, dtype=torch.bool))
