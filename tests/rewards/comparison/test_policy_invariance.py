from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.methods.worlds.tabular import grid, random_mdp
from rewards.comparison.policy_invariance import choices_kept
from rewards.comparison.tabular import TabularMDP


@given(st.integers(0, 50), st.floats(-5, 5), st.floats(-5, 5))
def test_a_potential_keeps_every_choice_and_a_plain_payment_of_it_need_not(seed, low, high):
    drawn = random_mdp(seed, states=5)
    world = TabularMDP(drawn.transition, drawn.start, drawn.gamma)
    phi = np.random.default_rng(seed).uniform(min(low, high), max(low, high), 5)
    shaped = drawn.reward + drawn.gamma * phi[None, None, :] - phi[:, None, None]
    meant, followed = (world.best_action_values(world.expected(reward)) for reward in (drawn.reward, shaped))
    assert choices_kept(meant, followed) == 1.0
    np.testing.assert_allclose(followed, meant - phi[:, None], atol=1e-6)


def test_on_a_grid_a_bonus_for_coming_nearer_is_farmed_and_the_same_as_a_potential_is_not():
    drawn = grid(3)
    alive = ~drawn.terminal
    moves = np.where(alive[:, None, None], drawn.transition, np.eye(9)[:, None])  # the end is never left
    world = TabularMDP(moves, drawn.start, drawn.gamma)
    near = np.arange(9) // 3 + np.arange(9) % 3 - 4.0  # 0 at the end
    reward = drawn.reward * alive[:, None, None]
    bonus = reward + 0.5 * (near[None, None, :] > near[:, None, None])
    potential = reward + (drawn.gamma * near[None, None, :] - near[:, None, None]) * alive[:, None, None]
    meant, paid, shaped = (world.best_action_values(world.expected(one)) for one in (reward, bonus, potential))
    assert choices_kept(meant, shaped, alive) == 1.0
    # Before the end, going back and coming again for ever is worth more than to end it.
    assert choices_kept(meant, paid, alive) < 1.0
    assert paid[5].argmax() != meant[5].argmax() == 1


def test_what_is_paid_for_being_somewhere_keeps_nobody_from_staying():
    # Two states: staying pays nothing, going from the first to the second 1, and the second ends it.
    meant = np.array([[0.0, 1.0], [0.0, 0.0]])
    staying = np.array([[2.0, 1.0], [0.0, 0.0]])
    ends = np.array([False, True])
    assert choices_kept(meant, staying, ~ends) == 0.0
    assert choices_kept(meant, staying) == 0.5


def test_of_actions_that_are_as_good_for_the_learner_all_have_to_be_best():
    assert choices_kept([[1.0, 0.0]], [[3.0, 3.0]]) == 0.0
    assert choices_kept([[1.0, 1.0]], [[3.0, 2.0]]) == 1.0
    assert choices_kept([[1.0, 1.0 - 1e-9]], [[0.0, 5.0]]) == 1.0


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="expected the same"):
        choices_kept([[1.0, 2.0]], [[1.0]])
    with pytest.raises(ValueError, match="all of them known"):
        choices_kept([[1.0, np.nan]], [[1.0, 2.0]])
    with pytest.raises(ValueError, match="one at least"):
        choices_kept([[1.0, 2.0]], [[1.0, 2.0]], np.array([False]))
