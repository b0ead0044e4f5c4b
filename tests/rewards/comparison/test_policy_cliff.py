from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.comparison.policy_cliff import (
    degeneracy_gap,
    effective_reward,
    policy_stability,
    safe_size,
    soft_bound,
    soft_policy,
)
from rewards.comparison.tabular import TabularMDP


def world(seed=0, states=3, actions=2, gamma=0.5, allowed=None):
    transition = np.random.default_rng(seed).dirichlet(np.ones(states), (states, actions))
    return TabularMDP(transition, np.full(states, 1 / states), gamma, allowed)


def answers(count=2):
    """One prompt, some answers: nothing comes after."""
    return TabularMDP(np.ones((1, count, 1)), np.ones(1), 0.0)


def test_gaps_by_hand():
    assert degeneracy_gap([[1.0, 4.0, 2.0], [3.0, 3.0, 0.0]]).tolist() == [2.0, 0.0]
    allowed = np.array([[True, False, True], [True, False, False]])
    assert degeneracy_gap([[1.0, 4.0, 2.0], [3.0, 3.0, 0.0]], allowed).tolist() == [1.0, math.inf]
    assert degeneracy_gap([[1.0]]).tolist() == [math.inf]


@given(st.integers(0, 10_000))
def test_a_gap_that_is_wide_enough_keeps_the_policy_as_it_is(seed):
    small, random = world(seed), np.random.default_rng(seed + 1)
    reward = random.normal(size=(3, 2))
    gap = degeneracy_gap(small.best_action_values(reward)).min()
    moved = reward + 0.999 * safe_size(gap, small.gamma) * random.choice([-1, 1], reward.shape)
    assert (small.best_policy(moved) == small.best_policy(reward)).all()


def test_a_tie_is_a_cliff_however_small_the_step_and_a_gap_is_none():
    tied, apart = np.array([[1.0, 1.0]]), np.array([[1.0, 0.9]])
    sizes = [1e-6, 1e-3]
    assert policy_stability(answers(), tied, sizes).moved.tolist() == [[1.0], [1.0]]
    assert policy_stability(answers(), apart, sizes).moved.tolist() == [[0.0], [0.0]]
    assert policy_stability(answers(), tied, sizes).gap.tolist() == [0.0]


def test_a_soft_policy_by_hand():
    assert soft_policy(answers(), np.array([[1.0, 0.0]]), 0.5)[0, 0] == pytest.approx(1 / (1 + math.exp(-2)))
    assert soft_policy(answers(3), np.array([[1.0, 1.0, -99.0]]), 0.1) == pytest.approx(np.array([[0.5, 0.5, 0.0]]))
    allowed = np.array([[True, False], [True, True], [True, True]])
    found = soft_policy(world(allowed=allowed), np.ones((3, 2)), 0.3)
    assert found[0].tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match="above 0"):
        soft_policy(answers(), np.zeros((1, 2)), 0.0)


def test_a_soft_policy_satisfies_the_soft_bellman_equation():
    small, reward, beta = world(3), np.random.default_rng(3).normal(size=(3, 2)), 0.2
    found = soft_policy(small, reward, beta)
    values = np.zeros(3)
    for _ in range(200):
        values = beta * np.log(np.exp(small.action_values(values, reward) / beta).sum(1))
    expected = np.exp((small.action_values(values, reward) - values[:, None]) / beta)
    assert found == pytest.approx(expected, abs=1e-9)


@given(st.integers(0, 10_000), st.floats(0.05, 2.0), st.floats(1e-4, 0.1))
def test_a_soft_policy_moves_no_more_than_the_reward_does_over_its_temperature(seed, beta, size):
    small, random = world(seed, gamma=0.8), np.random.default_rng(seed)
    reward = random.integers(0, 2, (3, 2)).astype(float)
    moved = reward + size * random.uniform(-1, 1, reward.shape)
    apart = np.abs(soft_policy(small, moved, beta) - soft_policy(small, reward, beta)).sum(1) / 2
    assert apart.max() <= soft_bound(size, beta, small.gamma) + 1e-8


def test_a_soft_policy_in_a_tie_moves_by_a_quarter_of_the_difference_over_its_temperature():
    found = policy_stability(answers(), np.array([[1.0, 1.0]]), [1e-5, 1e-4], beta=0.1, draws=4, seed=7)
    draws = np.random.default_rng(7).uniform(-1, 1, (4, 1, 2))
    difference = np.abs(draws[..., 0] - draws[..., 1]).max()
    assert found.moved[:, 0] == pytest.approx(np.array([1e-5, 1e-4]) * difference / 4 / 0.1, rel=1e-3)


def test_a_mixture_crosses_the_cliff_where_the_effective_reward_ties():
    rewards = np.array([[[3.0, 0.0]], [[0.0, 1.0]]])  # 3 (1 − w) = w at w = ¾
    at = [answers().best_policy(effective_reward(rewards, [1 - w, w]))[0, 0] for w in (0.0, 0.7499, 0.7501, 1.0)]
    assert at == [1.0, 1.0, 0.0, 0.0]
    assert degeneracy_gap(effective_reward(rewards, [0.25, 0.75])).tolist() == [0.0]
    two = np.repeat(rewards, 2, axis=1)
    assert effective_reward(two, [[1.0, 0.0], [0.0, 2.0]]).tolist() == [[3.0, 0.0], [0.0, 2.0]]
    with pytest.raises(ValueError, match="one weight a reward"):
        effective_reward(rewards, [1.0, 2.0, 3.0])
