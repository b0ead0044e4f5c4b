from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learners.particle_swarm import swarm


def bowl(place):
    return float(((place - [0.3, -0.2]) ** 2).sum())


def test_the_bottom_of_a_bowl_is_found():
    found = swarm(bowl, [-1, -1], [1, 1], seed=0)
    np.testing.assert_allclose(found.place, [0.3, -0.2], atol=1e-3)
    assert found.loss == bowl(found.place) == found.history[-1]


@given(st.integers(0, 20))
def test_nobody_leaves_the_box_and_the_least_loss_never_rises(seed):
    asked = []

    def loss(place):
        asked.append(place.copy())
        return float(place.sum())  # the least is in a corner

    found = swarm(loss, [0, 2], [1, 5], seed, particles=5, steps=8)
    assert len(asked) == 5 * 9
    assert (np.array(asked) >= [0, 2]).all() and (np.array(asked) <= [1, 5]).all()
    assert (np.diff(found.history) <= 0).all() and found.loss == min(float(place.sum()) for place in asked)


def test_who_has_neither_inertia_nor_a_pull_stays():
    asked = []
    swarm(lambda place: asked.append(place[0]) or 0.0, [0], [1], 3, particles=4, steps=3, inertia=0, own=0, common=0)
    assert asked[:4] * 4 == asked


def test_a_seed_is_all_there_is_to_chance():
    one, other = (swarm(bowl, [-1, -1], [1, 1], seed=7, steps=5) for _ in range(2))
    np.testing.assert_array_equal(one.place, other.place)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="got a box"):
        swarm(bowl, [0, 0], [1, 0], seed=0)
    with pytest.raises(ValueError, match="got 0 particles"):
        swarm(bowl, [0, 0], [1, 1], seed=0, particles=0)
    with pytest.raises(ValueError, match="no finite number at"):
        swarm(lambda place: float("nan"), [0], [1], seed=0)
