from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.early_stopping import roll_out, step_budgets

START = np.array([3, 1, 9])


def down(states, actions, rows):
    """Who counts down has arrived at 0."""
    return states - actions, states - actions == 0


def one(states, rows):
    return np.ones(len(states), np.int64)


def test_without_a_bound_every_rollout_is_played_to_its_end():
    budgets = step_budgets(START, math.inf, most=20)
    found = roll_out(one, down, START, budgets)
    assert budgets.tolist() == [20] * 3
    assert found.ended.all() and found.last.tolist() == [0, 0, 0] and found.taken.sum(1).tolist() == [3, 1, 9]
    assert found.states[0][found.taken[0]].tolist() == [3, 2, 1]


def test_a_budget_is_a_multiple_of_the_expert_s_steps_within_bounds():
    assert step_budgets([0, 3, 10, 100], 1.5, most=40).tolist() == [1, 4, 15, 40]


def test_who_is_over_its_budget_is_cut_where_it_is_and_not_asked_again():
    asked = []

    def act(states, rows):
        asked.append(rows.tolist())
        return one(states, rows)

    found = roll_out(act, down, START, [2, 5, 4])
    assert found.ended.tolist() == [False, True, False] and found.last.tolist() == [1, 0, 5]
    assert found.taken.sum(1).tolist() == [2, 1, 4] and asked == [[0, 1, 2], [0, 2], [2], [2]]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(1, 6))
def test_up_to_its_budget_a_rollout_is_what_it_is_without_one(start, budget):
    free = roll_out(one, down, np.array(start), np.full(len(start), 9))
    bound = roll_out(one, down, np.array(start), np.full(len(start), budget))
    assert np.array_equal(bound.taken, free.taken[:, :budget])
    assert np.array_equal(bound.states[bound.taken], free.states[:, :budget][bound.taken])
    assert np.array_equal(bound.ended, np.array(start) <= budget)


def test_budgets_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="tolerance above 0"):
        step_budgets([1], 0.0)
    with pytest.raises(ValueError, match="steps of at least 0"):
        step_budgets([math.nan])
    with pytest.raises(ValueError, match="one each"):
        roll_out(one, down, START, [1, 2])
