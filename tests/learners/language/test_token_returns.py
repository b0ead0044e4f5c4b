"""Returns per token, against implementations that loop over the tokens of one answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learners.language.token_returns import Returns, rewards_less_divergence, token_returns


def looped_gae(rewards, values, gamma, lambda_):
    """Schulman et al. 2016, equation 16, one answer, nothing behind its end."""
    advantages, running = np.zeros(len(rewards)), 0.0
    for t in reversed(range(len(rewards))):
        after = values[t + 1] if t + 1 < len(values) else 0.0
        running = rewards[t] + gamma * after - values[t] + gamma * lambda_ * running
        advantages[t] = running
    return advantages


def looped_vtrace(rewards, values, ratios, gamma, rho_bar, c_bar):
    """Espeholt et al. 2018, equation 1, as the sum that it is written as."""
    steps = len(rewards)
    after = np.append(values[1:], 0.0)
    targets = np.zeros(steps)
    for s in range(steps):
        targets[s] = values[s]
        for t in range(s, steps):
            trace = np.prod([min(c_bar, ratios[i]) for i in range(s, t)])
            delta = min(rho_bar, ratios[t]) * (rewards[t] + gamma * after[t] - values[t])
            targets[s] += gamma ** (t - s) * trace * delta
    advantages = rewards + gamma * np.append(targets[1:], 0.0) - values
    return targets, advantages


MASKS = st.lists(
    st.lists(st.booleans(), min_size=1, max_size=6).map(lambda own: [False, *own]), min_size=1, max_size=4
).filter(lambda masks: any(any(mask) for mask in masks))


@pytest.mark.slow
@given(
    masks=MASKS, gamma=st.sampled_from([1.0, 0.9]), lambda_=st.sampled_from([0.0, 0.95, 1.0]), seed=st.integers(0, 99)
)
def test_own_tokens_are_the_steps_and_an_answer_is_an_episode(masks, gamma, lambda_, seed):
    generator = np.random.default_rng(seed)
    flat = np.concatenate(masks)
    rewards, values, log_probs, behaviour = generator.normal(size=(4, len(flat)))
    lengths = torch.tensor([len(mask) for mask in masks])
    mask = torch.tensor(flat)
    streams = [torch.tensor(x) for x in (rewards, values, log_probs, behaviour)]

    def found(**settings):
        config = Returns(gamma=gamma, lambda_=lambda_, **settings)
        return token_returns(streams[0], streams[1], mask, lengths, mask.double(), config, streams[2], streams[3])

    gae, traced = found(), found(estimator="vtrace", rho_bar=1.2, c_bar=0.9)
    start = 0
    for own in masks:
        where = start + np.flatnonzero(own)
        start += len(own)
        expected = looped_gae(rewards[where], values[where], gamma, lambda_)
        np.testing.assert_allclose(gae.advantages[where], expected, atol=1e-9)
        np.testing.assert_allclose(gae.targets[where], expected + values[where], atol=1e-9)
        if lambda_ == 1:
            ratios = np.exp(log_probs - behaviour)[where]
            targets, advantages = looped_vtrace(rewards[where], values[where], ratios, gamma, 1.2, 0.9)
            np.testing.assert_allclose(traced.targets[where], targets, atol=1e-9)
            np.testing.assert_allclose(traced.advantages[where], advantages, atol=1e-9)
    assert (gae.advantages[~mask] == 0).all() and (gae.targets[~mask] == 0).all()


def test_without_a_critic_the_advantage_is_the_reward_to_go():
    rewards = torch.tensor([0.0, 1, 0, 2, 0, 5])
    mask = torch.tensor([False, True, False, True, False, True])
    found = token_returns(rewards, torch.zeros(6), mask, torch.tensor([4, 2]), mask.float(), Returns())
    assert found.advantages.tolist() == [0, 3, 0, 2, 0, 5]


@pytest.mark.parametrize(("gamma", "lambda_"), [(1.0, 1.0), (0.9, 0.5), (0.5, 0.0)])
def test_of_one_turn_the_advantage_is_that_of_a_bandit_whatever_the_discount(gamma, lambda_):
    rewards, values = torch.tensor([9.0, 1, 9, 5]), torch.tensor([7.0, 0.25, 7, 2])
    mask = torch.tensor([False, True, False, True])
    config = Returns(gamma=gamma, lambda_=lambda_)
    found = token_returns(rewards, values, mask, torch.tensor([2, 2]), mask.float(), config)
    assert found.advantages.tolist() == [0, 0.75, 0, 3] and found.targets.tolist() == [0, 1, 0, 5]


def test_what_is_not_known_ends_the_return_of_those_before_it_with_its_value():
    rewards = torch.tensor([0.0, 1, torch.nan, 7])
    values = torch.tensor([0.0, 0.5, 4, 1])
    mask, weights = torch.tensor([False, True, True, True]), torch.tensor([0.0, 1, 0, 1])
    found = token_returns(rewards, values, mask, torch.tensor([4]), weights, Returns())
    assert found.advantages[1].item() == pytest.approx(1 + 4 - 0.5)
    assert found.advantages[3].item() == pytest.approx(7 - 1)
    assert found.advantages.isfinite().all()


def test_vtrace_asks_for_both_policies():
    with pytest.raises(ValueError, match="which V-trace compares"):
        token_returns(
            torch.zeros(2),
            torch.zeros(2),
            torch.tensor([False, True]),
            torch.tensor([2]),
            torch.ones(2),
            Returns(estimator="vtrace"),
        )


def test_the_price_of_leaving_is_taken_from_the_reward_of_own_tokens():
    log_probs, reference = torch.tensor([5.0, -1, -2]), torch.tensor([0.0, -2, -2])
    mask = torch.tensor([False, True, True])
    found = rewards_less_divergence(torch.tensor([0.0, 0, 1]), log_probs, reference, mask, 0.1, "k1")
    assert found.tolist() == pytest.approx([0, -0.1, 1])
