"""Any Gymnasium environment, by id, class or instance, behind the `Environment` contract. Imports `gymnasium`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs import specs
from envs.environment import Environment
from envs.frames import render_frame
from envs.timestep import TimeStep, restart, termination, transition, truncation

ONLY = "observation"


def gymnasium_ids() -> list[str]:
    """Every id that Gymnasium knows here."""
    return sorted(gymnasium.registry)


def action_spec(space: Any) -> specs.ActionSpec:
    """The action spec of a Gymnasium space; MultiBinary counts as choices of two.

    Raises:
        ValueError: the space is of a kind that no policy here can act in.
    """
    if isinstance(space, spaces.Discrete):
        return specs.Discrete(int(space.n))
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1:
        return specs.MultiDiscrete(tuple(int(n) for n in space.nvec))
    if isinstance(space, spaces.MultiBinary) and len(space.shape) == 1:
        return specs.MultiDiscrete((2,) * space.shape[0])
    if isinstance(space, spaces.Box) and space.dtype is not None and space.dtype.kind == "f":
        return specs.Box(tuple(map(float, space.low.ravel())), tuple(map(float, space.high.ravel())))
    raise ValueError(
        f"got action space {space}; expected Discrete, MultiDiscrete and MultiBinary of one axis, or a Box of floats: "
        "wrap the environment"
    )


def observation_specs(space: Any) -> dict[str, specs.ArraySpec]:
    """The observation specs of a Gymnasium space; a space without keys is called `observation`.

    Raises:
        ValueError: the space, or an entry of a Dict, is neither Box, Discrete, MultiDiscrete nor MultiBinary.
    """
    entries = space.spaces if isinstance(space, spaces.Dict) else {ONLY: space}
    return {key: _array_spec(key, entry) for key, entry in entries.items()}


def _array_spec(key: str, space: Any) -> specs.ArraySpec:
    if isinstance(space, spaces.Discrete):
        return specs.ArraySpec((), "int64")
    if isinstance(space, spaces.Box | spaces.MultiDiscrete | spaces.MultiBinary) and space.dtype is not None:
        dtype = "uint8" if space.dtype.kind == "b" else space.dtype.name
        return specs.ArraySpec(tuple(space.shape), dtype)
    raise ValueError(
        f"got observation {key!r} of space {space}; expected Box, Discrete, MultiDiscrete, MultiBinary "
        "or a Dict of these: flatten it with a gymnasium wrapper"
    )


class GymnasiumEnvironment:
    """A Gymnasium environment as an `Environment`.

    `success` comes from `info["is_success"]` or `info["success"]` where the environment gives it.

    Args:
        inner: the environment; reset with the seed of each episode.
        max_episode_steps: the episode is truncated there, besides the environment's own limit.

    Raises:
        ValueError: a space is of a kind that is not supported.
    """

    def __init__(self, inner: Any, max_episode_steps: int | None = None) -> None:
        self._inner, self._limit, self._steps = inner, max_episode_steps, 0
        space: Any = inner.action_space
        self._action = action_spec(space)
        self._space = space
        self._spec = specs.EnvSpec(observation_specs(inner.observation_space), self._action)
        self._keyed = isinstance(inner.observation_space, spaces.Dict)
        self._observation: dict[str, NDArray[Any]] = {}

    @property
    def spec(self) -> specs.EnvSpec:
        """Observations and actions."""
        return self._spec

    def reset(self, seed: int) -> TimeStep:
        """Begin the episode that `seed` determines."""
        raw, _ = self._inner.reset(seed=seed)
        self._steps = 0
        return restart(self._observe(raw))

    def step(self, action: Any) -> TimeStep:
        """Act; real actions are clipped to the space."""
        raw, reward, terminated, truncated, info = self._inner.step(self._act(action))
        self._steps += 1
        observation, paid = self._observe(raw), float(reward)
        if terminated:
            return termination(paid, observation, _success(info))
        if truncated or self._steps == self._limit:
            return truncation(paid, observation, _success(info))
        return transition(paid, observation)

    def render(self) -> str:
        """What the environment renders, if that is text; otherwise the observation."""
        frame = self._inner.render() if getattr(self._inner, "render_mode", None) == "ansi" else None
        return frame if isinstance(frame, str) else render_frame(self._observation)

    def close(self) -> None:
        """Close the environment."""
        self._inner.close()

    def _act(self, action: Any) -> Any:
        start = getattr(self._space, "start", 0)
        if isinstance(self._action, specs.Discrete):
            return int(start) + int(action)
        values = np.asarray(action).reshape(self._space.shape)
        if isinstance(self._action, specs.Box):
            values = np.clip(values, self._space.low, self._space.high)
        return (values + start).astype(self._space.dtype)

    def _observe(self, raw: Any) -> dict[str, NDArray[Any]]:
        entries: Mapping[str, Any] = raw if self._keyed else {ONLY: raw}
        self._observation = {key: _as_array(entries[key], array.dtype) for key, array in self._spec.observation.items()}
        return self._observation


def _as_array(value: Any, dtype: str) -> NDArray[Any]:
    """The value in its spec's dtype where that loses only precision; else as it came, for the check to find."""
    array = np.asarray(value)
    fits = array.dtype.kind == "b" or np.can_cast(array.dtype, dtype, casting="same_kind")
    return array.astype(dtype, copy=False) if fits else array


def _success(info: Mapping[str, Any]) -> bool | None:
    told = info.get("is_success", info.get("success"))
    return None if told is None else bool(told)


def make_external(path: str, *, max_episode_steps: int | None = None, **options: Any) -> Environment:
    """An environment by Gymnasium id or by dotted path.

    Args:
        path: `CartPole-v1`, or `my_lab.mazes:Maze` for a class or function that gives a Gymnasium environment or an
            `Environment`.
        max_episode_steps: the episode is truncated there; whatever gives an `Environment` is handed it as an option.
        **options: of the environment.

    Raises:
        ValueError: what was made is neither, or an `Environment` by a function that takes no `max_episode_steps`.
    """
    if ":" not in path:
        return GymnasiumEnvironment(gymnasium.make(path, disable_env_checker=True, **options), max_episode_steps)
    module, _, name = path.partition(":")
    factory: Any = attrgetter(name)(importlib.import_module(module))
    if max_episode_steps is not None and _takes_limit(factory):
        options["max_episode_steps"] = max_episode_steps
    made = factory(**options)
    if isinstance(made, gymnasium.Env):
        return GymnasiumEnvironment(made, max_episode_steps)
    if all(hasattr(made, part) for part in ("spec", "reset", "step", "render", "close")):
        if max_episode_steps is not None and "max_episode_steps" not in options:
            raise ValueError(
                f"{path} got max_episode_steps={max_episode_steps} and takes none; let it take one, or leave it out"
            )
        return cast(Environment, made)
    raise ValueError(
        f"{path} gave a {type(made).__name__}; expected a gymnasium.Env or an envs.environment.Environment "
        "(spec, reset, step, render, close)"
    )


def _takes_limit(factory: Any) -> bool:
    """Whether what a factory gives ends its episodes by itself, at a limit that it is told; others are wrapped."""
    if isinstance(factory, type):
        return not issubclass(factory, gymnasium.Env)
    return "max_episode_steps" in inspect.signature(factory).parameters
