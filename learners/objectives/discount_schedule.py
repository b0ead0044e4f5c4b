"""`DiscountSchedule`: how far a learner looks ahead grows with how much of a demonstration it has mastered.

Where late steps of a demonstration can be imitated without the early ones, what they pay keeps early ones from being
learnt. So the discount begins short, and lets in later steps only when those before them are done: γ = α^(1/k) at
progress k, so that γ^k = α always.

Source: ADS, Imitation Learning from Observation with Automatic Discount Scheduling (Liu et al. 2024), and its released
code, from which the constants are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

Floats = NDArray[np.float64]


class Config(BaseModel):
    """How the discount is found.

    Attributes:
        alpha: what is left of a reward k steps away.
        threshold: share of the score of a demonstration that counts as mastered.
        begin: progress at first, as a share of the demonstration.
        most: steps of progress from one batch of trajectories.
        demonstrations_percentile: of the scores among demonstrations that is to be reached.
        own_percentile: of the scores of one's own trajectory that is taken, over demonstrations.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    alpha: float = Field(0.2, gt=0, lt=1)
    threshold: float = Field(0.9, gt=0, le=1)
    begin: float = Field(0.2, ge=0, le=1)
    most: int = Field(5, ge=1)
    demonstrations_percentile: float = Field(50, ge=0, le=100)
    own_percentile: float = Field(90, ge=0, le=100)


def longest_increasing(values: Sequence[int] | NDArray[np.integer]) -> int:
    """Length of the longest strictly increasing subsequence; 0 of nothing."""
    ends: list[int] = []  # the smallest end of an increasing subsequence of each length
    for value in np.asarray(values).tolist():
        place = bisect_left(ends, value)
        ends[place : place + 1] = [value]
    return len(ends)


def matched(costs: ArrayLike, first: int) -> int:
    """How many of the first steps of a trajectory follow a demonstration in its order.

    Args:
        costs: distance of each step of it to each step of the demonstration `[T, T']`.
        first: how many steps of both are looked at.
    """
    found = np.asarray(costs, np.float64)[:first, :first]
    return longest_increasing(found.argmin(1))


def distances(a: ArrayLike, b: ArrayLike) -> Floats:
    """Euclidean distances of steps `[T, D]` and `[T', D]`, `[T, T']`."""
    one, other = np.asarray(a, np.float64), np.asarray(b, np.float64)
    found: Floats = np.linalg.norm(one[:, None] - other[None], axis=-1)
    return found


class DiscountSchedule:
    """Progress k and the discount that belongs to it; k never falls."""

    def __init__(self, demonstrations: Sequence[ArrayLike], config: Config | None = None) -> None:
        """Begin with what demonstrations score among each other (alone: against itself).

        Args:
            demonstrations: what was seen at each step `[T, D]`, all of one length.
            config: how the discount is found; None: as in the released code.

        Raises:
            ValueError: no demonstration, or lengths that differ.
        """
        self.config = config or Config()
        self._shown = [np.asarray(one, np.float64) for one in demonstrations]
        if not self._shown or len({one.shape for one in self._shown}) != 1 or self._shown[0].ndim != 2:
            raise ValueError(
                f"got demonstrations of shapes {[one.shape for one in self._shown]}; expected one at least, all [T, D]"
            )
        self.horizon = len(self._shown[0])
        pairs = [(a, b) for a in self._shown for b in self._shown if a is not b] or [(self._shown[0], self._shown[0])]
        costs = [distances(a, b) for a, b in pairs]
        scores = [[matched(cost, k + 1) for k in range(self.horizon)] for cost in costs]
        self._aim = np.percentile(scores, self.config.demonstrations_percentile, axis=0)
        self.progress = max(1, int(self.config.begin * self.horizon))

    @property
    def discount(self) -> float:
        """γ = α^(1/k)."""
        return float(self.config.alpha ** (1 / self.progress))

    def seen(self, trajectory: ArrayLike) -> float:
        """Take in a trajectory `[T, D]`; gives the discount from now on.

        Raises:
            ValueError: it has another length than the demonstrations.
        """
        found = np.asarray(trajectory, np.float64)
        if found.shape != self._shown[0].shape:
            raise ValueError(f"got a trajectory of shape {found.shape}; expected {self._shown[0].shape}")
        costs = [distances(found, one) for one in self._shown]
        for _ in range(self.config.most):
            if self.progress >= self.horizon:
                break
            score = np.percentile([matched(cost, self.progress) for cost in costs], self.config.own_percentile)
            if score < int(self.config.threshold * self._aim[self.progress - 1]):
                break
            self.progress += 1
        return self.discount

    def state_dict(self) -> dict[str, Any]:
        """What a run goes on from."""
        return {"progress": self.progress}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.progress = int(state["progress"])
