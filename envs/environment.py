"""`Environment`, `Captioner` and `Task`: the contract between a world and the rest of the house."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from envs.specs import EnvSpec
from envs.timestep import TimeStep


class Environment(Protocol):
    """A world with one agent in it.

    `reset(seed)` with the same seed, followed by the same actions, gives the same episode. After a LAST step only
    `reset` may be called. Observation arrays may be reused between steps.
    """

    @property
    def spec(self) -> EnvSpec:
        """Observations and actions; constant for the life of the environment."""
        ...

    def reset(self, seed: int) -> TimeStep:
        """Begin an episode that `seed` determines."""
        ...

    def step(self, action: Any) -> TimeStep:
        """Act; `action` is an int (Discrete) or an array of the action spec's shape."""
        ...

    def render(self) -> str:
        """The current state as a text frame."""
        ...

    def close(self) -> None:
        """Free what the environment holds."""
        ...


@runtime_checkable
class InPlace(Protocol):
    """An environment that writes its observations where it is told, such as into a vector's block: no copy a step."""

    def bind(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Show every observation in `arrays` from now on, of the spec's keys, shapes and types.

        Called once, before the first reset.
        """
        ...


class Outcome(NamedTuple):
    """What N worlds said after one step.

    Attributes:
        reward: `[N]` float32.
        discount: `[N]` float32, 0.0 only at a termination.
        last: `[N]` bool, whether the episode ended.
        success: by index, of those that ended and say whether the task was solved.
        steps: the same as N steps, where they were made one by one; else empty.
    """

    reward: NDArray[np.float32]
    discount: NDArray[np.float32]
    last: NDArray[np.bool_]
    success: Mapping[int, bool] = {}
    steps: Sequence[TimeStep] = ()


class Ensemble(Protocol):
    """N environments of one task that step in one call, and say of each what it would say alone.

    Where a library or an adapter can do that faster than a loop; `envs.vector.OneByOne` is the loop. Like a single
    environment, each of the N begins its episode by a seed, and shows its last observation until it is reset.
    """

    @property
    def spec(self) -> EnvSpec:
        """Observations and actions of one environment."""
        ...

    def bind(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Show every observation in `arrays` `[N, …]` from now on. Called once, before the first reset."""
        ...

    def reset(self, indices: Sequence[int], seeds: Sequence[int]) -> Sequence[TimeStep]:
        """Begin the episodes that `seeds` determine, in the environments of these indices.

        Returns:
            Their first steps, where these are made one by one; else empty: the bound arrays say all.
        """
        ...

    def step(self, actions: NDArray[Any]) -> Outcome:
        """Act in every environment; `actions` are `[N, …]`."""
        ...

    def render(self, index: int) -> str:
        """One environment as a text frame."""
        ...

    def close(self) -> None:
        """Free what the environments hold."""
        ...


class Captioner(Protocol):
    """Says in words what a step brought about; the empty string where there is nothing to say."""

    def reset(self, timestep: TimeStep) -> None:
        """Begin an episode."""
        ...

    def caption(self, timestep: TimeStep) -> str:
        """The canonical caption of the transition that led to `timestep`."""
        ...


class Signs(NamedTuple):
    """When a captioner has something to say, so that it need not be asked at every step.

    It has nothing to say, and nothing to remember, where the first entry of each of `speaks` is 0 and the entries of
    `changes` are what they were at the step before.

    Attributes:
        speaks: observations whose first entry is not 0 where there is something to say, such as a message.
        changes: entries of observations (indices along their only axis) of which every change counts.
    """

    speaks: tuple[str, ...] = ()
    changes: Mapping[str, tuple[int, ...]] = {}


@dataclass(frozen=True)
class Task:
    """An environment with the captioner that goes with it.

    `make_ensemble`, where there is one, makes so many environments at once; it may give None, and `make` is used.
    """

    name: str
    summary: str
    make: Callable[[], Environment]
    make_captioner: Callable[[], Captioner]
    goal: str = "explore and descend"
    make_ensemble: Callable[[int], Ensemble | None] | None = None
