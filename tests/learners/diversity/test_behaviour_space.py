from __future__ import annotations

import numpy as np
import pytest

from learners.diversity.behaviour_space import GivenSpace, LearntSpace


def seen(count=32, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 1)) * np.ones((1, 4))


def test_a_given_space_is_what_it_was_given_and_is_never_surprised():
    space = GivenSpace(lambda observations: observations[:, :2])
    space.learn(seen())
    assert space.describe(np.arange(8.0).reshape(2, 4)).tolist() == [[0, 1], [4, 5]]
    assert space.surprise(seen(3)).tolist() == [0, 0, 0]


@pytest.mark.slow
def test_a_learnt_space_is_less_surprised_by_what_it_has_seen_than_by_what_it_has_not():
    space = LearntSpace(4, size=1, hidden=8, epochs=60)
    before = space.surprise(seen()).mean()
    space.learn(seen())
    known, strange = space.surprise(seen(8, seed=1)).mean(), space.surprise(np.array([[2.0, -2.0, 2.0, -2.0]]))[0]
    assert known < 0.2 * before and strange > 5 * known
    assert space.describe(seen(8)).shape == (8, 1)


def test_it_learns_the_same_from_the_same_seed_and_leaves_everybody_elses_randomness_alone():
    def described(seed):
        space = LearntSpace(4, size=2, hidden=4, epochs=2, seed=seed)
        space.learn(seen())
        return space.describe(seen(3))

    assert (described(1) == described(1)).all()
    assert described(1) != pytest.approx(described(2))
