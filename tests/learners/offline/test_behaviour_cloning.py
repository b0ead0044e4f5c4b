"""Weighted cloning: its weights, its returns, and what it makes of good and bad examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learners.offline.behaviour_cloning import BehaviourCloning, Config, advantage_weights, best, returns_of

NAN = math.nan


def test_weights_worked_by_hand():
    advantage = torch.tensor([0.0, 1.0, -2.0, 100.0])
    weights = advantage_weights(advantage, temperature=2.0, max_weight=20.0)
    assert weights.tolist() == pytest.approx([1.0, math.exp(0.5), math.exp(-1.0), 20.0])
    assert advantage_weights(advantage, None, 20.0).tolist() == [1.0] * 4


@pytest.mark.slow
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20),
    st.floats(1e-3, 1e3),
    st.floats(1, 1e6),
)
def test_weights_are_bounded_and_grow_with_the_advantage(advantages, temperature, bound):
    advantage = torch.tensor(sorted(advantages), dtype=torch.float64)
    weights = advantage_weights(advantage, temperature, bound)
    assert ((weights >= 0) & (weights <= bound * (1 + 1e-9))).all()
    assert (weights.diff() >= 0).all()


def test_a_hot_temperature_is_plain_cloning():
    advantage = torch.linspace(-3, 3, 7)
    torch.testing.assert_close(advantage_weights(advantage, 1e9, 20.0), advantage_weights(advantage, None, 20.0))


def test_the_best_episodes_worked_by_hand():
    returns = np.array([1.0, 5.0, NAN, 3.0, 5.0, 2.0])
    assert best(returns, 0.2).tolist() == [False, True, False, False, True, False]  # a tie stays together
    assert best(returns, 0.6).tolist() == [False, True, False, True, True, False]
    assert best(returns, 1.0).tolist() == [True, True, False, True, True, True]
    assert best(returns, 1e-9).sum() == 2
    with pytest.raises(ValueError, match="no episode of known return"):
        best(np.array([NAN]), 0.5)


def test_returns_worked_by_hand(rows):
    batch = rows(([0, 1, 2], [0, 0], [1, 2], False))
    value = torch.tensor([10.0, 20.0, 40.0])
    # lambda 1: 2 + 0.5·40 = 22, 1 + 0.5·22 = 12;  lambda 0: 2 + 20, 1 + 0.5·20
    assert returns_of(batch, value, 0.5, 1.0).tolist() == [12.0, 22.0]
    assert returns_of(batch, value, 0.5, 0.0).tolist() == [11.0, 22.0]


def test_a_return_does_not_look_through_a_step_without_reward(rows):
    batch = rows(([0, 1, 2, 0], [0, 0, 0], [1, 2, 4], True), weight=[1.0, 0.0, 1.0])
    value = torch.tensor([10.0, 20.0, 40.0, 80.0])
    # What follows step 0 is known from V(1) = 20 on; step 1 itself is not learnt from.
    assert returns_of(batch, value, 0.5, 1.0).tolist() == [11.0, 20.0, 4.0]


@pytest.mark.slow
def test_plain_cloning_finds_the_shares_of_the_actions(rows, table):
    batch = rows(([0, 0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 9], True))
    learner = BehaviourCloning(table(), Config(temperature=None, learning_rate=0.05))
    for _ in range(400):
        metrics = learner.update(batch)
    assert learner.module.logits[0].softmax(-1).tolist() == pytest.approx([0.75, 0.25], abs=1e-3)
    # The policy's entropy is that of the data, which no cloning gets below.
    assert metrics["policy_loss"] == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25), abs=1e-4)
    assert (learner.module.values == 0).all() and metrics["mean_weight"] == 1


@pytest.mark.slow
def test_weighted_cloning_finds_the_shares_of_the_weights(rows, table):
    # A world of one step: action 1 pays 1. V is the mean 0.25, so the weights are e^-0.25 and e^0.75.
    batch = rows(*[([0, 1], [a], [a], True) for a in (0, 0, 0, 1)])
    learner = BehaviourCloning(table(), Config(learning_rate=0.03, normalise_advantage=False))
    for _ in range(800):
        learner.update(batch)
    assert learner.module.values[0].item() == pytest.approx(0.25, abs=1e-3)
    odds = math.exp(0.75) / (3 * math.exp(-0.25))
    probability = learner.module.logits[0].softmax(-1)[1].item()
    assert probability == pytest.approx(odds / (1 + odds), abs=2e-3)


def test_steps_of_weight_zero_are_not_cloned(rows, table):
    one, other = BehaviourCloning(table(), Config()), BehaviourCloning(table(), Config())
    one.update(rows(([0, 1, 2], [0, 1], [1, 0], True), ([1, 1], [1], [5], True), weight=[1.0, 1.0, 0.0]))
    other.update(rows(([0, 1, 2], [0, 1], [1, 0], True)))
    for left, right in zip(one.module.parameters(), other.module.parameters(), strict=True):
        torch.testing.assert_close(left, right)


def test_a_batch_of_which_nothing_counts_is_not_cloned(rows, table):
    one = BehaviourCloning(table(), Config())
    one.update(rows(([0, 1, 2], [0, 1], [1, 0], True)))  # now Adam has momentum
    before = one.state_dict()
    told = one.update(rows(([0, 1, 2], [0, 1], [1, 0], True), weight=[0.0, 0.0]))
    after = one.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if name != "counters")
    assert one.version == 2 and math.isnan(told["grad_norm"]) and told["skipped_updates"] == 0


def test_a_resumed_cloner_goes_on_bit_for_bit(rows, table):
    batch = rows(([0, 1, 2], [0, 1], [1, 0], True))
    one, other = BehaviourCloning(table(), Config()), BehaviourCloning(table(), Config())
    one.update(batch)
    other.load_state_dict(one.state_dict())
    assert one.update(batch) == other.update(batch) and other.version == 2
    with pytest.raises(ValueError, match="resume with the config that wrote it"):
        other.load_state_dict(BehaviourCloning(table(states=4)).state_dict())


def test_nan_changes_nothing_and_is_counted(rows, table):
    learner = BehaviourCloning(table(), Config())
    metrics = learner.update(rows(([0, 1], [0], [NAN], True)))
    assert metrics["skipped_updates"] == 1 and (learner.module.logits == 0).all() and learner.version == 1
