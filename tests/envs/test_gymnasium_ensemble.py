"""CartPole that steps natively is CartPole."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest

from envs.gymnasium_ensemble import GymnasiumEnsemble, make_gymnasium_ensemble
from envs.tasks import make_task
from envs.vector import OneByOne, VectorEnvironment


@pytest.mark.slow
@pytest.mark.parametrize("limit", [None, 12])
def test_native_cart_poles_are_those_of_the_loop_by_their_seeds(limit):
    task = make_task("CartPole-v1", max_episode_steps=limit)
    fast, loop = VectorEnvironment(task, 6, 3), VectorEnvironment(replace(task, make_ensemble=None), 6, 3)
    assert isinstance(fast.ensemble, GymnasiumEnsemble) and isinstance(loop.ensemble, OneByOne)
    assert fast.spec == loop.spec
    fast.reset(), loop.reset()
    rng = np.random.default_rng(0)
    terminations = truncations = 0
    for _ in range(200):
        # Angles and positions are sums of sines by two libraries: the same to the last bits of a float32.
        np.testing.assert_allclose(fast.observation["observation"], loop.observation["observation"], atol=1e-5)
        actions = rng.integers(2, size=6)
        one, other = fast.step(actions), loop.step(actions)
        for name, value in one._asdict().items():
            np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)
        terminations += int((one.discount[one.last] == 0).sum())
        truncations += int((one.discount[one.last] == 1).sum())
        np.testing.assert_array_equal(fast.reset_finished(), loop.reset_finished())
        np.testing.assert_array_equal(fast.episode_seeds, loop.episode_seeds)
    assert terminations and (limit is None or truncations)
    fast.close(), loop.close()


def test_an_episode_that_is_left_begins_anew_and_the_others_go_on():
    vector = VectorEnvironment(make_task("CartPole-v1"), 3, 0)
    vector.reset()
    for _ in range(3):
        vector.step(np.ones(3, np.int64))
    before = vector.observation["observation"].copy()
    vector._start([1])
    assert np.array_equal(vector.observation["observation"][[0, 2]], before[[0, 2]])
    assert np.abs(vector.observation["observation"][1]).max() <= 0.05
    assert vector.episode_step.tolist() == [3, 0, 3]


def test_what_resets_by_itself_is_refused_and_what_is_not_native_is_looped():
    with pytest.raises(ValueError, match="expected one that is told when to reset"):
        GymnasiumEnsemble(gymnasium.make_vec("CartPole-v1", 2, vectorization_mode="vector_entry_point"))
    assert make_gymnasium_ensemble("Pendulum-v1", 2) is None
    assert make_gymnasium_ensemble("CartPole-v1", 2, render_mode="rgb_array") is None
