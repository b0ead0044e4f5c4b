"""EnvPool keeps the contract, alone and together; without it, who asks for it is told."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from envs.contract import EnvironmentContract
from envs.tasks import make_task
from envs.vector import VectorEnvironment

there = pytest.mark.skipif(importlib.util.find_spec("envpool") is None, reason="EnvPool is optional")


@there
class TestCartPole(EnvironmentContract):
    def task(self):
        return make_task("envpool/CartPole-v1", max_episode_steps=30)


@there
def test_a_pool_tells_ends_from_limits_and_shows_the_last_observation_until_it_is_reset():
    def play():
        vector = VectorEnvironment(make_task("envpool/CartPole-v1", max_episode_steps=12), 5, 1)
        vector.reset()
        rng, story, ends = np.random.default_rng(0), [], []
        for _ in range(60):
            step = vector.step(rng.integers(2, size=5))
            story.append(vector.observation["observation"].copy())
            angle = np.abs(vector.observation["observation"][:, 2])
            assert (angle[step.last & (step.discount == 0)] > 0.2).all(), "it fell"
            assert (vector.episode_step[step.last & (step.discount == 1)] == 12).all(), "it was cut off"
            ends.append(step.last)
            finished = vector.reset_finished()
            assert (np.abs(vector.observation["observation"][finished]) <= 0.05).all()
        vector.close()
        return np.stack(story), np.stack(ends)

    (one, ends), (other, again) = play(), play()
    assert ends.any() and np.array_equal(one, other) and np.array_equal(ends, again)


@there
def test_a_name_that_envpool_does_not_know_is_refused():
    with pytest.raises(ValueError, match="which EnvPool does not have"):
        make_task("envpool/Golf-v1").make()


@pytest.mark.skipif(importlib.util.find_spec("envpool") is not None, reason="EnvPool is there")
def test_without_envpool_its_tasks_say_what_is_missing():
    with pytest.raises(ValueError, match="needs EnvPool, which is not installed"):
        make_task("envpool/CartPole-v1").make()
