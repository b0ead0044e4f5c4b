"""Gymnasium environments that step together, where they can: vector environments that reset one episode at a time.

Of Gymnasium's own only CartPole steps natively and needs no other library. It begins episodes anew by itself, a step
after they ended, for all from one generator; here each begins by its own seed, as it does alone. A loop over single
environments (`envs.vector.OneByOne`) is quicker than Gymnasium's `SyncVectorEnv`, so that is what all others get.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray

from envs import specs
from envs.environment import Outcome
from envs.frames import render_frame
from envs.gymnasium_env import ONLY, action_spec, observation_specs
from envs.timestep import TimeStep


class CartPoles(CartPoleVectorEnv):
    """CartPole, whose episodes begin when they are told to (`reset_mask`), each by a seed of its own."""

    state: Any  # [4, N]

    def __init__(self, num_envs: int, max_episode_steps: int) -> None:
        """So many poles, whose episodes are truncated there."""
        super().__init__(num_envs, max_episode_steps)
        self.metadata = {**self.metadata, "autoreset_mode": AutoresetMode.DISABLED}

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin the episodes of `options["reset_mask"]` by their `seed`s; all others go on.

        Args:
            seed: one for each environment, read where the mask is set.
            options: `reset_mask` `[N]`.
        """
        if options is None or self.state is None:
            super().reset(seed=0)
        mask = np.ones(self.num_envs, np.bool_) if options is None else options["reset_mask"]
        for index in np.flatnonzero(mask).tolist():
            begin = gymnasium.utils.seeding.np_random(int(seed[index]))[0]
            self.state[:, index] = begin.uniform(low=-0.05, high=0.05, size=(4,))
        self.steps[mask], self.prev_done[mask] = 0, False
        return self.state.T.astype(np.float32), {}

    def step(self, action: NDArray[Any]) -> tuple[Any, ...]:
        """Act in all; which episodes ended is told, and nothing is reset."""
        self.prev_done[:] = False
        return super().step(action)


NATIVE: dict[str, Callable[..., VectorEnv[Any, Any, Any]]] = {
    "CartPole-v0": lambda n, limit: CartPoles(n, limit or 200),
    "CartPole-v1": lambda n, limit: CartPoles(n, limit or 500),
}


class GymnasiumEnsemble:
    """A Gymnasium vector environment that does not reset by itself, as an `Ensemble`.

    Args:
        inner: its `autoreset_mode` is DISABLED, its `reset` takes `reset_mask`, its observations are one array.

    Raises:
        ValueError: a space is of a kind that is not supported, or episodes begin by themselves.
    """

    def __init__(self, inner: VectorEnv[Any, Any, Any]) -> None:
        mode = inner.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.DISABLED:
            raise ValueError(f"got a vector environment with autoreset {mode}; expected one that is told when to reset")
        self._inner, self._n = inner, inner.num_envs
        self._action = action_spec(inner.single_action_space)
        self._start = getattr(inner.single_action_space, "start", 0)
        self._spec = specs.EnvSpec(observation_specs(inner.single_observation_space), self._action)
        self._shown: Mapping[str, NDArray[Any]] = {}

    @property
    def spec(self) -> specs.EnvSpec:
        """Observations and actions of one environment."""
        return self._spec

    def bind(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Show observations in `arrays`: one copy for all environments."""
        self._shown = arrays

    def reset(self, indices: Sequence[int], seeds: Sequence[int]) -> list[TimeStep]:
        """Begin the episodes that `seeds` determine."""
        mask, all_seeds = np.zeros(self._n, np.bool_), np.zeros(self._n, np.int64)
        mask[indices], all_seeds[indices] = True, seeds
        seen, _ = self._inner.reset(seed=all_seeds.tolist(), options={"reset_mask": mask})
        self._shown[ONLY][indices] = seen[indices]
        return []

    def step(self, actions: NDArray[Any]) -> Outcome:
        """Act in all environments; real actions are clipped to the space."""
        if isinstance(self._action, specs.Box):
            actions = np.clip(actions, self._action.low, self._action.high)
        seen, reward, terminated, truncated, _ = self._inner.step(actions + self._start)
        self._shown[ONLY][:] = seen
        return Outcome(reward.astype(np.float32), 1 - terminated.astype(np.float32), terminated | truncated)

    def render(self, index: int) -> str:
        """The observation of one environment."""
        return render_frame({ONLY: self._shown[ONLY][index]})

    def close(self) -> None:
        """Close all."""
        self._inner.close()


def make_gymnasium_ensemble(path: str, n: int, *, max_episode_steps: int | None = None, **options: Any) -> Any:
    """Environments of one id that step together; None where a loop over single ones is as good.

    Args:
        path: a Gymnasium id, or a dotted path.
        n: how many.
        max_episode_steps: episodes are truncated there, besides the environment's own limit.
        **options: of the environment; with any, the loop is used.
    """
    if path not in NATIVE or options:
        return None
    own = gymnasium.spec(path).max_episode_steps
    return GymnasiumEnsemble(NATIVE[path](n, min(filter(None, (own, max_episode_steps)))))
