"""EnvPool's environments: stepped by threads of its own, in C++. The only file that imports `envpool`.

    guerdon train task=envpool/Pong-v5

Optional (`pip install envpool`), and asked for by name: its games are not those of other libraries to the last bit. Its
seeds are fixed when a pool is made, so what an episode is follows from the seed of the first one and from what was done
since: the whole run repeats itself, a single later episode cannot.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs import specs
from envs.environment import Outcome
from envs.frames import render_frame
from envs.gymnasium_env import ONLY, action_spec, observation_specs
from envs.timestep import TimeStep, restart, termination, transition, truncation


def _library() -> Any:
    try:
        return importlib.import_module("envpool")
    except ImportError:
        raise ValueError("this task needs EnvPool, which is not installed: pip install envpool (Linux)") from None


class EnvPoolEnsemble:
    """A pool as an `Ensemble`.

    Args:
        id: EnvPool's name of the environment.
        n: how many.
        threads: of the pool.
        **options: of the pool, such as `max_episode_steps`.

    Raises:
        ValueError: EnvPool is not there, knows no such environment, or it shows what no policy here can read.
    """

    def __init__(self, id: str, n: int, *, threads: int = 1, **options: Any) -> None:
        library = _library()
        if id not in library.list_all_envs():
            raise ValueError(f"got {id!r}, which EnvPool does not have: see envpool.list_all_envs()")
        limit = options.pop("max_episode_steps", None)
        options |= {} if limit is None else {"max_episode_steps": limit}
        self._make: Callable[[list[int]], Any] = lambda seeds: library.make_gymnasium(
            id, num_envs=n, seed=seeds, num_threads=threads, **options
        )
        self._n, self._pool = n, self._made([0] * n)
        self._action = action_spec(self._pool.action_space)
        self._spec = specs.EnvSpec(observation_specs(self._pool.observation_space), self._action)
        self._shown: Mapping[str, NDArray[Any]] = {}
        self._begun = False

    @property
    def spec(self) -> specs.EnvSpec:
        """Observations and actions of one environment."""
        return self._spec

    def bind(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Show observations in `arrays`: one copy for all environments."""
        self._shown = arrays

    def reset(self, indices: Sequence[int], seeds: Sequence[int]) -> list[TimeStep]:
        """Begin episodes; all of them, at first, by their seeds."""
        if not self._begun:
            if len(indices) != self._n:
                raise RuntimeError(f"got {len(indices)} environments; expected all {self._n} at the first reset")
            self._pool, self._begun = self._made([int(seed) for seed in seeds]), True
        seen, _ = self._pool.reset(np.asarray(indices, np.int32))
        self._show(seen, list(indices))
        return []

    def step(self, actions: NDArray[Any]) -> Outcome:
        """Act in all environments; real actions are clipped to the space."""
        if isinstance(self._action, specs.Box):
            actions = np.clip(actions, self._action.low, self._action.high)
        seen, reward, terminated, truncated, _ = self._pool.step(actions.astype(self._pool.action_space.dtype))
        self._show(seen, slice(None))
        return Outcome(reward.astype(np.float32), 1 - terminated.astype(np.float32), terminated | truncated)

    def render(self, index: int) -> str:
        """The observation of one environment."""
        return render_frame({key: block[index] for key, block in self._shown.items()})

    def close(self) -> None:
        """Stop the pool's threads."""
        self._pool.close()

    def _made(self, seeds: list[int]) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # bounds of a space that lose precision are no news to a run
            pool = self._make(seeds)
            pool.observation_space, pool.action_space  # noqa: B018  (they are made when they are looked at)
            return pool

    def _show(self, seen: Any, where: Any) -> None:
        for key, value in (seen if isinstance(seen, dict) else {ONLY: seen}).items():
            self._shown[key][where] = value


class EnvPoolEnvironment:
    """One environment of a pool of its own, made anew for each episode, so that a seed determines it.

    Args:
        id: as of `EnvPoolEnsemble`.
        **options: as of `EnvPoolEnsemble`.
    """

    def __init__(self, id: str, **options: Any) -> None:
        self._make: Callable[[], EnvPoolEnsemble] = lambda: EnvPoolEnsemble(id, 1, **options)
        self._pool = self._make()
        self._row: dict[str, NDArray[Any]] = {}

    @property
    def spec(self) -> specs.EnvSpec:
        """Observations and actions."""
        return self._pool.spec

    def reset(self, seed: int) -> TimeStep:
        """Begin the episode that `seed` determines."""
        self._pool.close()
        self._pool = self._make()
        block = {key: np.zeros((1, *array.shape), array.dtype) for key, array in self.spec.observation.items()}
        self._pool.bind(block)
        self._row = {key: array[0] for key, array in block.items()}
        self._pool.reset([0], [seed])
        return restart(self._row)

    def step(self, action: Any) -> TimeStep:
        """Act."""
        outcome = self._pool.step(np.asarray(action)[None])
        reward = float(outcome.reward[0])
        if not outcome.last[0]:
            return transition(reward, self._row)
        return (truncation if outcome.discount[0] else termination)(reward, self._row)

    def render(self) -> str:
        """The observation."""
        return self._pool.render(0)

    def close(self) -> None:
        """Stop the pool."""
        self._pool.close()


def make_envpool(id: str, **options: Any) -> EnvPoolEnvironment:
    """One environment by EnvPool's name."""
    return EnvPoolEnvironment(id, **options)


def make_envpool_ensemble(id: str, n: int, **options: Any) -> EnvPoolEnsemble:
    """Environments that step together by EnvPool's name."""
    return EnvPoolEnsemble(id, n, **options)
