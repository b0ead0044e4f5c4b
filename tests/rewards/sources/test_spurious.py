from __future__ import annotations

import itertools

import numpy as np
import pytest

from rewards.columns import Column
from rewards.groups import group_advantages
from rewards.sources.spurious import inverted, random_rewards, wrong_majority


@pytest.mark.parametrize("chance", [0.2, 0.5])
@pytest.mark.parametrize("scale", [False, True])
def test_advantages_of_random_rewards_are_nothing_in_expectation(chance, scale):
    mean = np.zeros((1, 4))
    for rewards in itertools.product([0.0, 1.0], repeat=4):  # everything that may be drawn, by its probability
        weight = np.prod([chance if r else 1 - chance for r in rewards])
        mean += weight * group_advantages(Column.full([rewards]), scale).values
    np.testing.assert_allclose(mean, 0.0, atol=1e-6)


def test_random_rewards_are_drawn_from_the_seed_and_as_often_as_they_should_be():
    one, other = (random_rewards(20_000, np.random.default_rng(seed), 0.3) for seed in (0, 0))
    np.testing.assert_array_equal(one, other)
    assert set(one) == {0.0, 1.0} and one.mean() == pytest.approx(0.3, abs=0.02)
    with pytest.raises(ValueError, match="chance=2"):
        random_rewards(1, np.random.default_rng(0), 2)


def test_inverted_is_the_opposite_and_null_stays_null():
    np.testing.assert_array_equal(inverted([[1.0, 0.25], [0.0, np.nan]]), [[0.0, 0.75], [1.0, np.nan]])
    with pytest.raises(ValueError, match="outside of 0 to 1"):
        inverted([-1.0])


def test_the_wrong_majority_by_hand():
    answers = [[3, 3, 5, None], [5, 5, 3, 3], [7, 7, 7, 1], [None] * 4]
    found = wrong_majority(answers, [5, 3, 7, 1])
    expected = [[1, 1, 0, 0], [1, 1, 0, 0], [np.nan] * 4, [np.nan] * 4]
    np.testing.assert_array_equal(found, expected)
    assert wrong_majority([], []).shape == (0, 0)
    with pytest.raises(ValueError, match="one size"):
        wrong_majority([[1], [1, 2]], [1, 2])
