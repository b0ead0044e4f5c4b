from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from actors.evaluate import play
from actors.policy import Config, RecurrentPolicy
from envs.environment import Task
from envs.specs import ArraySpec, Discrete, EnvSpec
from envs.tasks import make_task
from envs.timestep import TimeStep, restart, termination, transition
from envs.vector import VectorEnvironment


class Countdown:
    """Ends after a number of steps that the seed chooses, 1 to 20; pays 1 a step."""

    spec = EnvSpec({"left": ArraySpec((1,), "float32")}, Discrete(2))

    def reset(self, seed: int) -> TimeStep:
        self.left = 1 + seed % 20
        return restart(self._see())

    def step(self, action: Any) -> TimeStep:
        self.left -= 1
        return transition(1.0, self._see()) if self.left else termination(1.0, self._see(), True)

    def _see(self) -> dict[str, Any]:
        return {"left": np.array([self.left], np.float32)}

    def render(self) -> str:
        return str(self.left)

    def close(self) -> None:
        pass


class Silent:
    def reset(self, timestep: TimeStep) -> None:
        pass

    def caption(self, timestep: TimeStep) -> str:
        return ""


COUNTDOWN = Task("countdown", "waits", Countdown, Silent)


def policy_for(vector: VectorEnvironment) -> RecurrentPolicy:
    torch.manual_seed(0)
    return RecurrentPolicy(vector.spec, Config(hidden=8))


def test_every_environment_plays_its_share_of_episodes() -> None:
    vector = VectorEnvironment(COUNTDOWN, 3, 7)
    ends = play(vector, policy_for(vector), 8, seed=1)
    assert [end.episode_id for end in ends] == ["0/0", "0/1", "0/2", "1/0", "1/1", "1/2", "2/0", "2/1"]


def test_long_episodes_are_not_left_out() -> None:
    """The lengths are those that the seeds of the shares say, whichever episodes end first."""
    from envs.vector import episode_seed

    vector = VectorEnvironment(COUNTDOWN, 4, 3)
    ends = play(vector, policy_for(vector), 12, seed=1)
    expected = [1 + episode_seed(3, env, number) % 20 for env in range(4) for number in range(3)]
    assert [end.length_steps for end in ends] == expected
    assert [end.env_return for end in ends] == [float(length) for length in expected]
    assert all(end.success and not end.truncated for end in ends)


@pytest.mark.slow
@pytest.mark.parametrize("greedy", [False, True])
def test_the_same_seed_gives_the_same_episodes(greedy: bool) -> None:
    def once(seed: int) -> list[float]:
        vector = VectorEnvironment(make_task("catch"), 4, seed)
        return [end.env_return for end in play(vector, policy_for(vector), 20, seed, greedy)]

    assert once(5) == once(5)
    assert once(5) != once(6)


def test_memory_is_empty_where_an_episode_begins() -> None:
    vector = VectorEnvironment(COUNTDOWN, 1, 0)
    policy = policy_for(vector)
    seen: list[tuple[float, float]] = []
    act = policy.act

    def spy(observation: Any, state: Any, generator: Any, greedy: bool = False) -> Any:
        seen.append((float(observation["left"][0, 0]), float(state.abs().sum())))
        return act(observation, state, generator, greedy)

    policy.act = spy  # type: ignore[method-assign]
    ends = play(vector, policy, 3, seed=1)
    starts = np.cumsum([0] + [end.length_steps for end in ends])[:-1]
    assert all(seen[k][1] == 0.0 for k in starts)
    assert sum(memory == 0.0 for _, memory in seen) == 3


def test_fewer_episodes_than_environments_are_refused() -> None:
    vector = VectorEnvironment(COUNTDOWN, 4, 0)
    with pytest.raises(ValueError, match="got 3 episodes for 4 environments"):
        play(vector, policy_for(vector), 3, seed=1)
