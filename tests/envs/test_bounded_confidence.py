from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.bounded_confidence import Population, influenced, tie_weights, trajectory

FRIENDS = np.array([[0.0, 1.0], [1.0, 0.0]])


def drawn(seed, users=6):
    random = np.random.default_rng(seed)
    strengths = np.triu(random.random((users, users)) * (random.random((users, users)) < 0.6), 1)
    return random.random((users, 3)), strengths + strengths.T


@given(st.integers(0, 30), st.floats(0, 1), st.floats(0, 1))
def test_nobody_changes_without_persuasion_or_without_confidence(seed, rate, bound):
    values, strengths = drawn(seed)
    ties = tie_weights(strengths)
    np.testing.assert_array_equal(influenced(values, ties, 0.0, bound), values)
    np.testing.assert_array_equal(influenced(values, ties, rate, 0.0), values)
    later = trajectory(values, ties, rate, bound, 5)
    assert (later >= values.min(0) - 1e-12).all() and (later <= values.max(0) + 1e-12).all()


def test_two_friends_who_hear_each_other_meet_in_the_middle_dimension_by_dimension():
    values = np.array([[0.2, 0.1], [0.4, 0.9]])
    np.testing.assert_allclose(influenced(values, FRIENDS, 0.5, 0.3), [[0.3, 0.1], [0.3, 0.9]])
    # Just as far apart as the bound is too far.
    np.testing.assert_array_equal(influenced(np.array([[0.0], [0.25]]), FRIENDS, 0.5, 0.25), [[0.0], [0.25]])


@given(st.integers(0, 30), st.floats(0, 1), st.floats(0, 1.5))
def test_with_ties_that_are_mutual_the_mean_of_all_stays(seed, rate, bound):
    values, strengths = drawn(seed)
    mutual = strengths / max(1.0, strengths.sum(1).max())
    np.testing.assert_allclose(trajectory(values, mutual, rate, bound, 4).mean(1), np.tile(values.mean(0), (5, 1)))


def test_ties_are_shares_of_each_user_s_own():
    found = tie_weights([[0.0, 3.0, 1.0], [3.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert found.tolist() == [[0.0, 0.75, 0.25], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]


def test_what_is_preferred_follows_what_is_valued_and_drifts_with_it():
    today = Population(np.array([[1.0, 0.2], [0.0, 0.2]]), FRIENDS, rate=1.0, bound=2.0, sharpness=1000.0)
    first, second, random = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), np.random.default_rng(0)
    assert today.prefers(first, second, random).tolist() == [[True], [False]]
    assert today.later(1).prefers(first, second, random).tolist() == [[False], [True]]  # each has become the other
    unsure = Population(today.values, FRIENDS, 0.0, 0.0, sharpness=0.0)
    assert abs(unsure.prefers(np.ones((4000, 2)), np.zeros((4000, 2)), random).mean() - 0.5) < 0.02


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="0 to oneself"):
        tie_weights([[1.0, 1.0], [1.0, 0.0]])
    with pytest.raises(ValueError, match="see tie_weights"):
        influenced([[0.1], [0.2]], 2 * FRIENDS, 0.5, 0.5)
    with pytest.raises(ValueError, match="got rate=2"):
        influenced([[0.1], [0.2]], FRIENDS, 2, 0.5)
