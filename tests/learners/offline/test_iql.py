"""IQL: expectiles, and a small world in which the best of two half-good episodes has to be put together."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learners.offline.iql import Config, Iql, expectile_loss


def expectile(values, tau):
    """Where the loss is least, found by the gradient's zero."""
    m = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    low, high = min(values), max(values)
    x = torch.tensor(values, dtype=torch.float64)
    for _ in range(60):
        with torch.no_grad():
            m.copy_(torch.tensor((low + high) / 2))
        (slope,) = torch.autograd.grad(expectile_loss(x - m, tau).sum(), m)
        low, high = (m.item(), high) if slope < 0 else (low, m.item())
    return m.item()


def test_the_loss_worked_by_hand():
    assert expectile_loss(torch.tensor([2.0, -2.0, 0.0]), 0.75).tolist() == [3.0, 1.0, 0.0]


values = st.lists(st.floats(-10, 10), min_size=2, max_size=8)


@pytest.mark.slow
@given(values)
def test_the_expectile_at_a_half_is_the_mean(x):
    assert expectile(x, 0.5) == pytest.approx(np.mean(x), abs=1e-6)


@pytest.mark.slow
@given(values)
def test_the_expectile_near_one_is_the_largest(x):
    assert expectile(x, 1 - 1e-9) == pytest.approx(max(x), abs=1e-4)


@pytest.mark.slow
@given(values, st.floats(0.05, 0.95))
def test_expectiles_agree_with_an_independent_implementation(x, tau):
    from scipy.stats import expectile as of_scipy

    assert expectile(x, tau) == pytest.approx(of_scipy(np.array(x), tau), abs=1e-6)


def learnt(learner, batch, updates):
    for _ in range(updates):
        metrics = learner.update(batch)
    return metrics


@pytest.mark.slow
def test_q_and_v_of_a_known_world(rows, table, critic_table):
    """State 0: action 0 pays 1 and ends; action 1 leads to state 1, where action 0 pays 0 and action 1 pays 4."""
    batch = rows(
        ([0, 2], [0], [1], True),
        ([0, 1, 2], [1, 0], [0, 0], True),
        ([0, 1, 2], [1, 1], [0, 4], True),
    )
    config = Config(gamma=0.5, expectile=0.5, learning_rate=0.03, target_rate=0.1, temperature=1.0)
    learner = Iql(table(), critic_table(), config)
    learnt(learner, batch, 800)
    q, v = learner.critic.q.detach(), learner.critic.values.detach()
    # The mean over what was done: V(1) = 2, Q(0, 1) = 0.5·2 = 1, V(0) = 1.
    for one in q:
        assert one[1].tolist() == pytest.approx([0.0, 4.0], abs=0.05)
        assert one[0].tolist() == pytest.approx([1.0, 1.0], abs=0.05)
    assert v[:2].tolist() == pytest.approx([1.0, 2.0], abs=0.05)


@pytest.mark.slow
def test_the_best_of_two_episodes_is_put_together(rows, table, critic_table):
    """No episode is good throughout: 0 -a1-> 1 was followed by the bad action, and 1 -a1-> 4 came from elsewhere."""
    batch = rows(
        ([0, 2], [0], [1], True),
        ([0, 1, 2], [1, 0], [0, 0], True),
        ([1, 2], [1], [4], True),
        ([1, 2], [0], [0], True),
    )
    config = Config(gamma=1.0, expectile=0.98, learning_rate=0.03, target_rate=0.1, temperature=0.5)
    learner = Iql(table(), critic_table(), config)
    metrics = learnt(learner, batch, 1200)
    # Cloning, of whole returns too, takes action 0 in state 0 (1 beats the 0 that was reached): Q knows better.
    assert learner.critic.values[1].item() == pytest.approx(4.0, abs=0.3)
    assert learner.module.logits[:2].softmax(-1)[:, 1].min() > 0.9
    assert metrics["skipped_updates"] == 0


def test_steps_of_weight_zero_teach_nothing(rows, table, critic_table):
    good, masked = (([0, 1, 2], [0, 1], [1, 2], True), ([1, 0], [1], [5], True))
    one, other = (Iql(table(), critic_table(), Config()) for _ in range(2))
    learnt(one, rows(good, masked, weight=[1.0, 1.0, 0.0]), 3)
    learnt(other, rows(good), 3)
    for left, right in zip(one.critic.parameters(), other.critic.parameters(), strict=True):
        torch.testing.assert_close(left, right)
    torch.testing.assert_close(one.module.logits, other.module.logits)


def test_the_target_follows_slowly(rows, table, critic_table):
    learner = Iql(table(), critic_table(), Config(target_rate=0.25))
    learner.update(rows(([0, 1], [0], [1], True)))
    state = learner.state_dict()
    torch.testing.assert_close(state["target.q"], 0.25 * state["critic.q"])


def test_a_batch_of_which_nothing_counts_moves_neither_policy_nor_critic_nor_target(rows, table, critic_table):
    learner = Iql(table(), critic_table(), Config())
    learner.update(rows(([0, 1, 2], [0, 1], [1, 2], True)))  # now Adam has momentum
    before = learner.state_dict()
    told = learner.update(rows(([0, 1, 2], [0, 1], [1, 2], True), weight=[0.0, 0.0]))
    after = learner.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if name != "counters")
    assert learner.version == 2 and math.isnan(told["grad_norm"]) and told["skipped_updates"] == 0


def test_a_resumed_iql_goes_on_bit_for_bit(rows, table, critic_table):
    batch = rows(([0, 1, 2], [0, 1], [1, 2], True))
    one, other = (Iql(table(), critic_table(), Config()) for _ in range(2))
    learnt(one, batch, 3)
    other.load_state_dict(one.state_dict())
    assert one.update(batch) == other.update(batch) and other.version == 4
    with pytest.raises(ValueError, match="resume with the config that wrote it"):
        other.load_state_dict(Iql(table(), critic_table(states=4)).state_dict())
