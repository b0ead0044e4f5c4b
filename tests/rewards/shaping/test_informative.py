from __future__ import annotations

import numpy as np
import pytest

from rewards.comparison.tabular import TabularMDP
from rewards.shaping.informative import (
    adapt,
    bonus_gradient,
    design,
    informativeness,
    optimal_values,
    policy_informativeness,
)


def line(length=4, gamma=0.9):
    """States in a row, and an end; action 1 goes right, action 0 left, and right from the last pays 1 and ends."""
    transition, reward = np.zeros((length + 1, 2, length + 1)), np.zeros((length + 1, 2))
    for s in range(length):
        transition[s, 0, max(s - 1, 0)] = transition[s, 1, s + 1] = 1
    transition[length, :, length] = 1
    reward[length - 1, 1] = 1
    return TabularMDP(transition, np.eye(length + 1)[0], gamma), reward


def some_process(seed):
    random = np.random.default_rng(seed)
    return TabularMDP(random.dirichlet(np.ones(5), (5, 3)), np.full(5, 0.2), 0.8), random.normal(size=(5, 3))


def best(mdp, reward):
    q = optimal_values(mdp, reward)
    return q >= q.max(1, keepdims=True) - 1e-6


def test_the_true_reward_informs_only_beside_the_goal_and_values_are_those_by_hand():
    mdp, reward = line()
    assert optimal_values(mdp, reward).max(1) == pytest.approx([0.9**3, 0.9**2, 0.9, 1, 0])
    # within one step only the last state sees the reward: a gap of 1, of which the true gap 1 − 0.9 · 0.9 counts
    assert informativeness(mdp, reward, reward, (1,)) == pytest.approx(1 - 0.81)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_best_stays_best_under_each_design(seed):
    mdp, true = some_process(seed)
    policy = np.random.default_rng(seed).dirichlet(np.ones(3), 5)
    for reward in (design(mdp, true, 1, 3.0)[0], adapt(mdp, true, policy, 3.0)):
        assert (best(mdp, reward) == best(mdp, true)).all()
        assert np.abs(reward).max() <= 3.0 + 1e-9


def test_a_few_states_inform_more_than_the_true_reward_and_the_others_are_paid_nothing():
    mdp, true = line(5)
    reward, states = design(mdp, true, 2, 1.0)
    assert len(states) == 3 and 4 in states and 5 not in states
    assert (reward[[s for s in range(6) if s not in states]] == 0).all()
    assert informativeness(mdp, true, reward) > informativeness(mdp, true, true) + 0.01
    assert (best(mdp, reward) == best(mdp, true)).all()


def test_the_adapted_reward_informs_the_learner_more_than_the_true_one():
    mdp, true = line(5)
    policy = np.full((6, 2), 0.5)
    q = optimal_values(mdp, true)
    seen = (q - q.max(1, keepdims=True), policy, mdp.occupancy(policy).sum(1))
    assert policy_informativeness(adapt(mdp, true, policy, 1.0), *seen) > policy_informativeness(true, *seen) + 0.01


def test_the_gradient_is_that_of_the_informativeness_and_by_hand():
    random = np.random.default_rng(0)
    advantage, policy, visits = random.normal(size=(4, 3)), random.dirichlet(np.ones(3), 4), random.random(4)
    reward, gradient = random.normal(size=(4, 3)), bonus_gradient(advantage, policy, visits)
    for s, a in ((0, 0), (2, 1), (3, 2)):
        moved = reward.copy()
        moved[s, a] += 1.0  # it is linear
        apart = policy_informativeness(moved, advantage, policy, visits)
        apart -= policy_informativeness(reward, advantage, policy, visits)
        assert apart == pytest.approx(gradient[s, a])
    assert bonus_gradient([[1.0, -1.0]], [[0.5, 0.5]], [2.0]).tolist() == [[1.0, -1.0]]


def test_what_does_not_fit_is_refused():
    mdp, true = line()
    with pytest.raises(ValueError, match="no reward of size"):
        adapt(mdp, true, np.full((5, 2), 0.5), 1e-3)
    with pytest.raises(ValueError, match="no reward of size"):
        design(mdp, true, 0, 1e-3)
    with pytest.raises(ValueError, match="above 0"):
        design(mdp, true, 1, 0.0)
    with pytest.raises(ValueError, match="got rewards"):
        design(mdp, true[:2], 1, 1.0)
