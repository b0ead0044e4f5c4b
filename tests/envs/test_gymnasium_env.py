import sys
from functools import partial
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from envs import specs
from envs.captions import NoCaptions
from envs.catch import Catch
from envs.contract import EnvironmentContract
from envs.environment import Task
from envs.gymnasium_env import GymnasiumEnvironment, action_spec, make_external, observation_specs
from envs.tasks import make_task


class TestCartPole(EnvironmentContract):
    def task(self):
        return make_task("CartPole-v1")


class TestPendulum(EnvironmentContract):
    def task(self):
        return make_task("Pendulum-v1", max_episode_steps=30)


class Sensors(gymnasium.Env):
    """Several spaces at once; remembers the action it was given."""

    observation_space = spaces.Dict(
        {
            "flag": spaces.MultiBinary(3),
            "door": spaces.Box(0, 1, (), bool),
            "count": spaces.Discrete(4),
            "wide": spaces.Box(-1, 1, (2,), np.float64),
        }
    )
    action_space = spaces.MultiDiscrete([2, 3])

    def _observe(self):
        wide = self.np_random.uniform(-1, 1, 2)
        return {"flag": np.ones(3, np.int8), "door": np.bool_(True), "count": 2, "wide": wide}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = 0
        return self._observe(), {}

    def step(self, action):
        self.acted, self.at = action, self.at + 1
        return self._observe(), 1, self.at == 5, False, {"is_success": True}


class TestSensors(EnvironmentContract):
    def task(self):
        return Task("sensors", "", partial(_sensors), NoCaptions)


def _sensors():
    return GymnasiumEnvironment(Sensors())


class Vault(Sensors):
    action_space = spaces.Box(np.array([-1.0, 0.0], np.float32), np.array([1.0, 2.0], np.float32))


class Start(Sensors):
    action_space = spaces.Discrete(3, start=5)


class Bits(Sensors):
    action_space = spaces.MultiBinary(4)


def test_every_supported_observation_arrives_in_its_specs_dtype():
    env = GymnasiumEnvironment(Sensors())
    observation = env.reset(1).observation
    got = {key: (value.shape, value.dtype.name) for key, value in observation.items()}
    assert got == {"flag": ((3,), "int8"), "door": ((), "uint8"), "count": ((), "int64"), "wide": ((2,), "float64")}
    assert {k: (s.shape, s.dtype) for k, s in env.spec.observation.items()} == got


def test_the_seed_of_reset_is_honoured():
    env = make_external("CartPole-v1")
    one, again, other = (env.reset(seed).observation["observation"].copy() for seed in (1, 1, 2))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    env.close()


def test_actions_of_each_kind_reach_the_environment():
    discrete, box, bits, several = (GymnasiumEnvironment(kind()) for kind in (Start, Vault, Bits, Sensors))
    for env in (discrete, box, bits, several):
        env.reset(0)
    discrete.step(2)
    assert discrete._inner.acted == 7
    box.step(np.array([-9.0, 9.0], np.float32))
    assert box._inner.acted.tolist() == [-1.0, 2.0], "clipped to the space"
    bits.step(np.array([0, 1, 1, 0]))
    assert bits._inner.acted.tolist() == [0, 1, 1, 0] and bits._inner.acted.dtype == np.int8
    several.step(np.array([1, 2]))
    assert several._inner.acted.tolist() == [1, 2]


def test_action_specs_are_those_of_the_spaces():
    assert action_spec(spaces.Discrete(3)) == specs.Discrete(3)
    assert action_spec(spaces.MultiDiscrete([2, 3])) == specs.MultiDiscrete((2, 3))
    assert action_spec(spaces.MultiBinary(2)) == specs.MultiDiscrete((2, 2))
    assert action_spec(Vault.action_space) == specs.Box((-1.0, 0.0), (1.0, 2.0))


def test_a_time_limit_is_a_truncation_and_an_end_is_a_termination():
    env = make_external("CartPole-v1", max_episode_steps=3)
    env.reset(0)
    steps = [env.step(i % 2) for i in range(3)]
    assert steps[-1].last and steps[-1].discount == 1.0
    over = GymnasiumEnvironment(Sensors())
    over.reset(0)
    last = [over.step([0, 0]) for _ in range(5)][-1]
    assert (last.last, last.discount, last.success, last.reward) == (True, 0.0, True, 1.0)
    env.close()


def test_spaces_without_a_spec_are_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"observation 'observation' of space Tuple.*flatten it"):
        observation_specs(spaces.Tuple([spaces.Discrete(2)]))
    with pytest.raises(ValueError, match=r"observation 'name' of space Text"):
        observation_specs(spaces.Dict({"name": spaces.Text(3)}))
    with pytest.raises(ValueError, match=r"got action space Text.*wrap the environment"):
        action_spec(spaces.Text(3))


def test_an_observation_of_another_kind_than_promised_is_left_for_the_contract_to_find():
    class Liar(Sensors):
        observation_space = spaces.Box(0, 9, (1,), np.int64)

        def _observe(self):
            return np.array([0.5])

    assert GymnasiumEnvironment(Liar()).reset(0).observation["observation"].dtype == np.float64


def test_text_is_rendered_as_it_is_and_arrays_by_name():
    lake = make_external("FrozenLake-v1", render_mode="ansi")
    lake.reset(0)
    assert "F" in lake.render()
    cart = make_external("CartPole-v1")
    cart.reset(0)
    assert cart.render().startswith("observation: [")
    lake.close(), cart.close()


def within_limit(max_episode_steps=None):
    return Catch(max_episode_steps=max_episode_steps)


def without_limit():
    return Catch()


def test_a_function_that_gives_an_environment_is_handed_the_limit_or_refuses_it(monkeypatch):
    module = SimpleNamespace(within_limit=within_limit, without_limit=without_limit)
    monkeypatch.setitem(sys.modules, "some_lab", module)
    env = make_external("some_lab:within_limit", max_episode_steps=2)
    env.reset(0)
    env.step(0)
    assert env.step(0).last
    with pytest.raises(ValueError, match="got max_episode_steps=2 and takes none"):
        make_external("some_lab:without_limit", max_episode_steps=2)
    assert make_external("some_lab:without_limit").spec
