"""`VectorEnvironment`: several environments of one task, stepped together, with captions counted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.captions import caption_id
from envs.contract import ContractViolation, fault_of
from envs.environment import InPlace, Task
from envs.specs import EnvSpec
from envs.timestep import StepType, TimeStep


class VectorStep(NamedTuple):
    """What N environments said after one step; observations are in `VectorEnvironment.observation`.

    Attributes:
        reward: `[N]` float32.
        discount: `[N]` float32, 0.0 only at a termination.
        last: `[N]` bool, whether the episode ended.
        captions: N texts, empty where nothing happened.
        caption_ids: `[N]` int64, 0 where nothing happened.
        caption_counts: `[N]` int32, how often the caption occurred in its episode, from 1; 0 where nothing happened.
        success: N entries, None where the episode goes on or the task does not say.
    """

    reward: NDArray[np.float32]
    discount: NDArray[np.float32]
    last: NDArray[np.bool_]
    captions: list[str]
    caption_ids: NDArray[np.int64]
    caption_counts: NDArray[np.int32]
    success: list[bool | None]


def episode_seed(seed: int, env_index: int, episode: int) -> int:
    """The 31-bit seed of one episode, a fixed function of its arguments."""
    return int(np.random.SeedSequence((seed, env_index, episode)).generate_state(1)[0] >> 1)


class VectorEnvironment:
    """N environments of one task in one process.

    Call `reset` once, then `step` and, after it, `reset_finished`. Between the two, `observation` holds the final
    observations of the episodes that ended.

    Args:
        task: what to make.
        num_envs: N.
        seed: determines, with the environment's index and the episode's number, every episode's seed.

    Attributes:
        observation: `[N, …]` by key, owned here and overwritten in place.
        episode_index: `[N]` int64, number of the current episode, from 0; -1 before the first reset.
        episode_step: `[N]` int64, steps taken in the current episode.
        episode_seeds: `[N]` int64, seeds of the current episodes.
    """

    def __init__(self, task: Task, num_envs: int, seed: int) -> None:
        if num_envs < 1:
            raise ValueError(f"got {num_envs} environments; expected at least 1")
        self.task, self.num_envs, self.seed = task, num_envs, seed
        self._envs = [task.make() for _ in range(num_envs)]
        self._captioners = [task.make_captioner() for _ in range(num_envs)]
        self._spec = self._envs[0].spec
        self.observation: dict[str, NDArray[Any]] = {
            key: np.zeros((num_envs, *array.shape), array.dtype) for key, array in self._spec.observation.items()
        }
        # Environments that can write into the block do so; what the others show is copied there.
        self._bound = [isinstance(env, InPlace) for env in self._envs]
        for index, env in enumerate(self._envs):
            if isinstance(env, InPlace):
                env.bind({key: block[index] for key, block in self.observation.items()})
        self._copies = [
            (key, block, block.shape[1:], block.dtype, block.dtype.kind == "f")
            for key, block in self.observation.items()
        ]
        self.episode_index = np.full(num_envs, -1, np.int64)
        self.episode_step = np.zeros(num_envs, np.int64)
        self.episode_seeds = np.zeros(num_envs, np.int64)
        self._counts: list[dict[int, int]] = [{} for _ in range(num_envs)]
        self._ended = np.ones(num_envs, bool)

    @property
    def spec(self) -> EnvSpec:
        """Observations and actions of one environment."""
        return self._spec

    def reset(self) -> None:
        """Begin a new episode in every environment.

        Raises:
            ContractViolation: an environment's first step is not as its spec says.
        """
        for index in range(self.num_envs):
            self._start(index)

    def reset_finished(self) -> NDArray[np.int64]:
        """Begin a new episode where the last one ended; their rows of `observation` are overwritten.

        Returns:
            The indices `[K]` of these environments.
        """
        finished = np.flatnonzero(self._ended)
        for index in finished:
            self._start(int(index))
        return finished

    def step(self, actions: NDArray[Any]) -> VectorStep:
        """Act in every environment.

        Args:
            actions: `[N, …]`.

        Returns:
            What they said; `observation` is updated, with final observations where episodes ended.

        Raises:
            ContractViolation: a reward or an observation is not as the spec says.
            RuntimeError: an episode ended and `reset_finished` was not called.
        """
        n = self.num_envs
        if self._ended.any():
            raise RuntimeError(
                f"environments {np.flatnonzero(self._ended).tolist()} have no running episode: "
                "call reset() first and reset_finished() after each step"
            )
        choices = actions.tolist() if actions.ndim == 1 else actions
        steps = [env.step(choice) for env, choice in zip(self._envs, choices, strict=True)]
        self.episode_step += 1
        captions, success = [], []
        ids, counts = np.zeros(n, np.int64), np.zeros(n, np.int32)
        for index, timestep in enumerate(steps):
            self._keep(index, timestep)
            caption = self._captioners[index].caption(timestep)
            captions.append(caption)
            success.append(timestep.success)
            if caption:
                ids[index] = identity = caption_id(caption)
                seen = self._counts[index]
                counts[index] = seen[identity] = seen.get(identity, 0) + 1
        self._ended = np.array([t.step_type is StepType.LAST for t in steps])
        return VectorStep(
            reward=np.array([t.reward for t in steps], np.float32),
            discount=np.array([t.discount for t in steps], np.float32),
            last=self._ended.copy(),
            captions=captions,
            caption_ids=ids,
            caption_counts=counts,
            success=success,
        )

    def render(self, index: int = 0) -> str:
        """One environment as text."""
        return self._envs[index].render()

    def state_dict(self) -> dict[str, list[int]]:
        """Episode numbers. Running episodes are not stored: after `load_state_dict` the next ones begin."""
        return {"episode_index": self.episode_index.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue the count of episodes; call `reset` afterwards.

        Raises:
            ValueError: the state is of another number of environments.
        """
        index = np.asarray(state["episode_index"], np.int64)
        if index.shape != (self.num_envs,):
            raise ValueError(f"got the state of {index.size} environments; expected {self.num_envs}: resume as it was")
        self.episode_index[:] = index
        self._ended[:] = True

    def close(self) -> None:
        """Close every environment."""
        for env in self._envs:
            env.close()

    def _start(self, index: int) -> None:
        self.episode_index[index] += 1
        self.episode_step[index] = 0
        seed = episode_seed(self.seed, index, int(self.episode_index[index]))
        self.episode_seeds[index] = seed
        timestep = self._envs[index].reset(seed)
        self._keep(index, timestep)
        self._captioners[index].reset(timestep)
        self._counts[index] = {}
        self._ended[index] = False

    def _keep(self, index: int, timestep: TimeStep) -> None:
        """Copy a step's observation into the block; the environment may reuse its arrays."""
        observation = timestep.observation
        try:
            fine = math.isfinite(timestep.reward)
            for key, block, shape, dtype, is_float in () if self._bound[index] else self._copies:
                value = observation[key]
                if value.shape != shape or value.dtype != dtype or (is_float and not np.isfinite(value).all()):
                    fine = False
                    break
                block[index] = value
        except (KeyError, AttributeError, TypeError):
            fine = False
        if not fine:
            fault = fault_of(timestep, self._spec) or "got observations that are not arrays; expected NumPy arrays"
            raise ContractViolation(
                f"task {self.task.name!r}, environment {index}, episode {self.episode_index[index]} "
                f"(seed {self.episode_seeds[index]}), step {self.episode_step[index]}: {fault}. Mend the environment."
            )
