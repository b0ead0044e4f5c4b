from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.columns import Column
from rewards.evaluation.noise import expected_flip, flip_by_question, kept_gain
from rewards.groups import group_advantages

REWARDS, QUESTION = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0]), np.array([0, 0, 0, 7, 7, 7])


def advantages(rewards, scale):
    return group_advantages(Column.full(np.reshape(rewards, (2, 3))), scale).values


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.4, 0.5, 1.0])
@pytest.mark.parametrize("scale", [False, True])
def test_over_all_flips_rewards_and_advantages_shrink_by_one_less_twice_the_rate(rate, scale):
    mean, mean_advantage = np.zeros(6), np.zeros((2, 3))
    for turned in itertools.product([False, True], repeat=2):  # every way to turn two questions, by its probability
        chance = np.prod([rate if t else 1 - rate for t in turned])
        flipped = np.where(np.repeat(turned, 3), 1 - REWARDS, REWARDS)
        mean += chance * flipped
        mean_advantage += chance * advantages(flipped, scale)
    np.testing.assert_allclose(mean, expected_flip(REWARDS, rate))
    np.testing.assert_allclose(mean_advantage, (1 - 2 * rate) * advantages(REWARDS, scale), atol=1e-6)


@given(st.integers(0, 1000), st.floats(0, 1))
def test_a_question_is_turned_as_a_whole_or_not_at_all(seed, rate):
    found = flip_by_question(REWARDS, QUESTION, rate, np.random.default_rng(seed))
    for number in (0, 7):
        own = number == QUESTION
        assert (found[own] == REWARDS[own]).all() or (found[own] == 1 - REWARDS[own]).all()


def test_without_noise_nothing_changes_with_all_of_it_everything_and_null_stays_null():
    random = np.random.default_rng(0)
    np.testing.assert_array_equal(flip_by_question(REWARDS, QUESTION, 0.0, random), REWARDS)
    np.testing.assert_array_equal(flip_by_question(REWARDS, QUESTION, 1.0, random), 1 - REWARDS)
    np.testing.assert_array_equal(flip_by_question([np.nan, 0.25], [3, 3], 1.0, random), [np.nan, 0.75])


def test_questions_are_turned_as_often_as_they_should_be():
    found = flip_by_question(np.ones(20_000), np.arange(20_000) // 2, 0.4, np.random.default_rng(1))
    assert (found == 0).mean() == pytest.approx(0.4, abs=0.02)


def test_the_gain_that_is_kept_by_hand():
    assert kept_gain(0.25, 0.75, 0.5) == 0.5 and kept_gain(0.25, 0.75, 0.0) == -0.5
    assert kept_gain(0.5, 0.5, 0.7) is None


def test_what_has_no_opposite_is_refused():
    random = np.random.default_rng(0)
    with pytest.raises(ValueError, match="outside of 0 to 1"):
        flip_by_question([2.0], [0], 0.1, random)
    with pytest.raises(ValueError, match=r"rate=1\.5"):
        expected_flip([1.0], 1.5)
    with pytest.raises(ValueError, match=r"\[B\]"):
        flip_by_question([1.0, 0.0], [0], 0.1, random)
