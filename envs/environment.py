"""`Environment`, `Captioner` and `Task`: the contract between a world and the rest of the house."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

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


class Captioner(Protocol):
    """Says in words what a step brought about; the empty string where there is nothing to say."""

    def reset(self, timestep: TimeStep) -> None:
        """Begin an episode."""
        ...

    def caption(self, timestep: TimeStep) -> str:
        """The canonical caption of the transition that led to `timestep`."""
        ...


@dataclass(frozen=True)
class Task:
    """An environment with the captioner that goes with it."""

    name: str
    summary: str
    make: Callable[[], Environment]
    make_captioner: Callable[[], Captioner]
    goal: str = "explore and descend"
