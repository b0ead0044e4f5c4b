"""`VectorEnvironment`: several environments of one task, stepped together, with captions counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.captions import caption_id, signs_of, storable
from envs.contract import ContractViolation, fault_of
from envs.environment import Captioner, Ensemble, Environment, InPlace, Outcome, Task
from envs.specs import EnvSpec
from envs.timestep import StepType, TimeStep, restart


class VectorStep(NamedTuple):
    """What N environments said after one step; observations are in `VectorEnvironment.observation`.

    Attributes:
        reward: `[N]` float32.
        discount: `[N]` float32, 0.0 only at a termination.
        last: `[N]` bool, whether the episode ended.
        captions: text by index, where something happened.
        caption_ids: `[N]` int64, 0 where nothing happened.
        caption_counts: `[N]` int32, how often the caption occurred in its episode, from 1; 0 where nothing happened.
        success: by index, of those that ended and say whether the task was solved.
    """

    reward: NDArray[np.float32]
    discount: NDArray[np.float32]
    last: NDArray[np.bool_]
    captions: Mapping[int, str]
    caption_ids: NDArray[np.int64]
    caption_counts: NDArray[np.int32]
    success: Mapping[int, bool]


class Fault(Exception):
    """An environment of an ensemble broke its contract: which one, and how."""

    def __init__(self, index: int, text: str) -> None:
        super().__init__(text)
        self.index, self.text = index, text


def _raised(error: Exception) -> str:
    """An error of an environment's own in one line; its traceback goes along as the cause."""
    return " ".join(f"it raised {type(error).__name__}: {error}".split())[:500]


def episode_seed(seed: int, env_index: int, episode: int) -> int:
    """The 31-bit seed of one episode, a fixed function of its arguments."""
    return int(np.random.SeedSequence((seed, env_index, episode)).generate_state(1)[0] >> 1)


class OneByOne:
    """An ensemble of environments that know nothing of each other: a loop.

    Args:
        environments: of one task.

    Raises:
        Fault: their specs differ.
    """

    def __init__(self, environments: Sequence[Environment]) -> None:
        self.environments = list(environments)
        self._spec = self.environments[0].spec
        for index, env in enumerate(self.environments):
            if env.spec != self._spec:
                raise Fault(index, f"got spec {env.spec}; the spec of environment 0 is {self._spec}")
        self._copies: list[Any] = []
        self._bound = [isinstance(env, InPlace) for env in self.environments]

    @property
    def spec(self) -> EnvSpec:
        """Observations and actions of one environment."""
        return self._spec

    def bind(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Show observations in `arrays`: by those environments that can, themselves; of the others they are copied."""
        for index, env in enumerate(self.environments):
            if isinstance(env, InPlace):
                env.bind({key: block[index] for key, block in arrays.items()})
        self._copies = [(key, block, block.shape[1:], block.dtype) for key, block in arrays.items()]

    def reset(self, indices: Sequence[int], seeds: Sequence[int]) -> list[TimeStep]:
        """Begin episodes, one after another."""
        steps: list[TimeStep] = []
        try:
            for index, seed in zip(indices, seeds, strict=True):
                steps.append(self.environments[index].reset(seed))
        except Exception as error:  # whatever the environment's own code raises
            raise Fault(indices[len(steps)], _raised(error)) from error
        self._keep(indices, steps)
        return steps

    def step(self, actions: NDArray[Any]) -> Outcome:
        """Act in one after another."""
        choices = actions.tolist() if actions.ndim == 1 else actions
        steps: list[TimeStep] = []
        try:
            for env, choice in zip(self.environments, choices, strict=True):
                steps.append(env.step(choice))
        except Exception as error:  # as above
            raise Fault(len(steps), _raised(error)) from error
        self._keep(range(len(steps)), steps)
        last = np.array([t.step_type is StepType.LAST for t in steps])
        return Outcome(
            np.array([t.reward for t in steps], np.float32),
            np.array([t.discount for t in steps], np.float32),
            last,
            {i: told for i in np.flatnonzero(last).tolist() if (told := steps[i].success) is not None},
            steps,
        )

    def render(self, index: int) -> str:
        """One environment as text."""
        return self.environments[index].render()

    def close(self) -> None:
        """Close every environment."""
        for env in self.environments:
            env.close()

    def _keep(self, indices: Sequence[int], steps: Sequence[TimeStep]) -> None:
        """Copy observations into the block; the environments may reuse their arrays."""
        for index, timestep in zip(indices, steps, strict=True):
            if self._bound[index]:
                continue
            try:
                observation = timestep.observation
                for key, block, shape, dtype in self._copies:
                    value = observation[key]
                    if value.shape != shape or value.dtype != dtype:
                        raise TypeError
                    block[index] = value
            except (KeyError, AttributeError, TypeError):
                fault = fault_of(timestep, self._spec)
                raise Fault(index, fault or "got observations that are not arrays; expected NumPy arrays") from None


class _Ears:
    """The captioners of N environments, of whom only those are asked that may have something to say.

    Args:
        captioners: one for each environment.
        observation: the block that they look at, `[N, …]` by key.
    """

    def __init__(self, captioners: Sequence[Captioner], observation: Mapping[str, NDArray[Any]]) -> None:
        self._captioners = captioners
        self._rows = [{key: block[i] for key, block in observation.items()} for i in range(len(captioners))]
        signs = signs_of(captioners[0])
        self._always = list(range(len(captioners))) if signs is None else None
        known = signs or ((), {})
        self._speaks = [observation[key].reshape(len(captioners), -1)[:, 0] for key in known[0] if key in observation]
        self._watched = [
            (observation[key], list(entries), observation[key][:, list(entries)])
            for key, entries in known[1].items()
            if key in observation
        ]

    def begin(self, indices: Sequence[int], steps: Sequence[TimeStep]) -> None:
        """Episodes began in these environments, with these steps where the ensemble makes any."""
        for index, step in zip(indices, steps or [restart(self._rows[i]) for i in indices], strict=True):
            self._captioners[index].reset(step)
        for block, entries, before in self._watched:
            before[indices] = block[indices][:, entries]

    def captions(self, outcome: Outcome) -> dict[int, str]:
        """What there is to say of a step, by index."""
        said = {}
        for index in self._to_ask():
            step = outcome.steps[index] if outcome.steps else self._step(index, outcome)
            try:
                caption = self._captioners[index].caption(step)
            except Exception as error:  # whatever the captioner's own code raises
                raise Fault(index, f"the captioner: {_raised(error)}") from error
            if not isinstance(caption, str):
                raise Fault(index, f"got a caption of type {type(caption).__name__}; expected a str, '' if none")
            if text := storable(caption):
                said[index] = text
        return said

    def _step(self, index: int, outcome: Outcome) -> TimeStep:
        return TimeStep(
            StepType.LAST if outcome.last[index] else StepType.MID,
            float(outcome.reward[index]),
            float(outcome.discount[index]),
            self._rows[index],
            outcome.success.get(index),
        )

    def _to_ask(self) -> list[int]:
        if self._always is not None:
            return self._always
        stirred = np.zeros(len(self._captioners), np.bool_)
        for first in self._speaks:
            stirred |= first != 0
        for block, entries, before in self._watched:
            now = block[:, entries]
            stirred |= (now != before).any(1)
            before[:] = now
        found: list[int] = np.flatnonzero(stirred).tolist()
        return found


class VectorEnvironment:
    """N environments of one task in one process.

    Call `reset` once, then `step` and, after it, `reset_finished`. Between the two, `observation` holds the final
    observations of the episodes that ended.

    Args:
        task: what to make.
        num_envs: N.
        seed: determines, with the environment's index and the episode's number, every episode's seed.
        first: index of the first environment, where these are a part of more.

    Raises:
        ValueError: there are no environments.
        ContractViolation: their specs differ.

    Attributes:
        observation: `[N, …]` by key, owned here and overwritten in place.
        episode_index: `[N]` int64, number of the current episode, from 0; -1 before the first reset.
        episode_step: `[N]` int64, steps taken in the current episode.
        episode_seeds: `[N]` int64, seeds of the current episodes.
    """

    def __init__(self, task: Task, num_envs: int, seed: int, first: int = 0) -> None:
        if num_envs < 1:
            raise ValueError(f"got {num_envs} environments; expected at least 1")
        self.task, self.num_envs, self.seed, self.first = task, num_envs, seed, first
        made = None if task.make_ensemble is None else task.make_ensemble(num_envs)
        self.episode_index = np.full(num_envs, -1, np.int64)
        self.episode_step = np.zeros(num_envs, np.int64)
        self.episode_seeds = np.zeros(num_envs, np.int64)
        try:
            self.ensemble: Ensemble = made or OneByOne([task.make() for _ in range(num_envs)])
        except Fault as fault:
            raise self._violation(fault.index, fault.text) from None
        self._spec = self.ensemble.spec
        self.observation: dict[str, NDArray[Any]] = {
            key: np.zeros((num_envs, *array.shape), array.dtype) for key, array in self._spec.observation.items()
        }
        self._floats = [(key, block) for key, block in self.observation.items() if block.dtype.kind == "f"]
        self.ensemble.bind(self.observation)
        self._ears = _Ears([task.make_captioner() for _ in range(num_envs)], self.observation)
        self._counts: list[dict[int, int]] = [{} for _ in range(num_envs)]
        self._ended = np.ones(num_envs, bool)

    @property
    def spec(self) -> EnvSpec:
        """Observations and actions of one environment."""
        return self._spec

    def reset(self) -> None:
        """Begin a new episode in every environment.

        Raises:
            ContractViolation: an environment raised something, or its first step is not as its spec says.
        """
        self._start(list(range(self.num_envs)))

    def reset_finished(self) -> NDArray[np.int64]:
        """Begin a new episode where the last one ended; their rows of `observation` are overwritten.

        Returns:
            The indices `[K]` of these environments.
        """
        finished = np.flatnonzero(self._ended)
        if finished.size:
            self._start(finished.tolist())
        return finished

    def step(self, actions: NDArray[Any]) -> VectorStep:
        """Act in every environment.

        Args:
            actions: `[N, …]`.

        Returns:
            What they said; `observation` is updated, with final observations where episodes ended.

        Raises:
            ContractViolation: an environment or its captioner raised something, or what it gave is not as it should be.
            RuntimeError: an episode ended and `reset_finished` was not called.
        """
        if self._ended.any():
            raise RuntimeError(
                f"environments {np.flatnonzero(self._ended).tolist()} have no running episode: "
                "call reset() first and reset_finished() after each step"
            )
        self.episode_step += 1
        try:
            outcome = self.ensemble.step(actions)
        except Fault as fault:
            raise self._violation(fault.index, fault.text) from fault.__cause__
        self._check(outcome)
        self._ended[:] = outcome.last
        try:
            captions = self._ears.captions(outcome)
        except Fault as fault:
            raise self._violation(fault.index, fault.text) from fault.__cause__
        ids, counts = np.zeros(self.num_envs, np.int64), np.zeros(self.num_envs, np.int32)
        for index, caption in captions.items():
            ids[index] = identity = caption_id(caption)
            seen = self._counts[index]
            counts[index] = seen[identity] = seen.get(identity, 0) + 1
        return VectorStep(outcome.reward, outcome.discount, outcome.last, captions, ids, counts, outcome.success)

    def render(self, index: int = 0) -> str:
        """One environment as text."""
        return self.ensemble.render(index)

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
        self.ensemble.close()

    def _start(self, indices: list[int]) -> None:
        self.episode_index[indices] += 1
        self.episode_step[indices] = 0
        seeds = [episode_seed(self.seed, self.first + i, int(self.episode_index[i])) for i in indices]
        self.episode_seeds[indices] = seeds
        try:
            steps = self.ensemble.reset(indices, seeds)
        except Fault as fault:
            raise self._violation(fault.index, fault.text) from fault.__cause__
        self._check(None)
        self._ears.begin(indices, steps)
        for index in indices:
            self._counts[index] = {}
        self._ended[indices] = False

    def _check(self, outcome: Outcome | None) -> None:
        """Refuse numbers that are not finite."""
        if outcome is not None and not np.isfinite(outcome.reward).all():
            index = int(np.flatnonzero(~np.isfinite(outcome.reward))[0])
            raise self._violation(index, f"got reward {outcome.reward[index]}; expected a finite number")
        for key, block in self._floats:
            if not np.isfinite(block).all():
                index = int(np.argwhere(~np.isfinite(block))[0][0])
                raise self._violation(index, f"observation {key!r}: got NaN or infinity; expected finite numbers")

    def _violation(self, index: int, fault: str) -> ContractViolation:
        return ContractViolation(
            f"task {self.task.name!r}, environment {self.first + index}, episode {self.episode_index[index]} "
            f"(seed {self.episode_seeds[index]}), step {self.episode_step[index]}: {fault}. Mend the environment."
        )
