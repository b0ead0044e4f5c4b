"""`Novelty`: how new an observation is, without any judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from envs.specs import Observation


class Novelty(Protocol):
    """A bonus for the unfamiliar. Call `update` once for each observation when it arrives, `score` at any time."""

    def score(self, observation: Observation) -> NDArray[np.float32]:
        """The bonus `[S]` of observations `[S, …]`, always finite; changes nothing."""
        ...

    def update(self, observation: Observation) -> dict[str, float]:
        """Become familiar with observations `[S, …]`; returns metrics."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything: nested dicts with text keys over tensors and JSON-able data."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` saved."""
        ...


def pick(observation: Observation, keys: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """The arrays named by `keys`, or all in the order of their names where none is named.

    Raises:
        ValueError: a key is missing.
    """
    wanted = keys or tuple(sorted(observation))
    if missing := [key for key in wanted if key not in observation]:
        raise ValueError(f"got observations {sorted(observation)}; expected {missing} too: set the novelty's keys")
    return {key: np.asarray(observation[key]) for key in wanted}
