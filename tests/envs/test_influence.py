from __future__ import annotations

import numpy as np
import pytest

from envs.contract import EnvironmentContract
from envs.influence import Influence, Network, cascade, random_network, reverse_reachable
from envs.tasks import make_task

CHAIN = np.array([[0.0, 0.5, 0.0], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]])
"""0 → 1 → 2: from 0 it is 1 + 1/2 + 1/4 nodes."""


class TestInfluence(EnvironmentContract):
    def task(self):
        return make_task("envs.influence:Influence", capacity=2)


def first(number, node=0, nodes=3):
    return np.tile(np.arange(nodes) == node, (number, 1))


def test_news_goes_along_the_edges_and_once_only():
    certain = np.ceil(CHAIN)
    random = np.random.default_rng(0)
    assert cascade(certain, first(1), random)[0].tolist() == [True, True, True]
    assert cascade(certain, first(1, 1), random)[0].tolist() == [False, True, True]
    # Who had it before does not try again.
    assert cascade(certain, first(1), random, first(1) | first(1, 1))[0].tolist() == [True, True, False]


def test_the_estimate_by_reverse_reachable_sets_is_the_spread():
    random = np.random.default_rng(1)
    forward = cascade(CHAIN, first(20_000), random).sum(1).mean()
    backward = 3 * reverse_reachable(CHAIN, 20_000, random)[:, 0].mean()
    assert forward == pytest.approx(1.75, abs=0.03) and backward == pytest.approx(1.75, abs=0.03)


def test_rewards_sum_to_what_is_reached_and_what_is_not_offered_is_lost():
    offered = np.array([[True, False, False], [False, True, False]])
    env = Influence(2, Network(np.ceil(CHAIN), offered))
    assert env.reset(0).observation["offered"].tolist() == [1, 0, 0]
    steps = [env.step(action) for action in (2, 1, 0, 1)]
    assert [step.reward for step in steps] == [0.0, 2.0, 1.0, 0.0]
    assert [step.last for step in steps] == [False, False, False, True]
    assert steps[0].observation["turn"].tolist() == [0, 1] and steps[1].observation["reached"].tolist() == [0, 1, 1]
    assert env.render() == "adopter 0, 3 of 3 reached"


def test_adopters_of_a_random_network_are_offered_friends_who_are_no_adopters():
    network = random_network(seed=3, nodes=30, adopters=6)
    assert network.offered.shape == (6, 30) and np.allclose(network.chances.sum(0), 1.0)
    assert sum(network.offered.any(0)) <= 24 and not np.diag(network.chances).any()


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="expected A ≤ n"):
        random_network(0, nodes=3, adopters=4)
    with pytest.raises(ValueError, match="from 0 to 1"):
        cascade(2 * CHAIN + 1, first(1), np.random.default_rng(0))
    with pytest.raises(ValueError, match="at least 1"):
        Influence(capacity=0)
