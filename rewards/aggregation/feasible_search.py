"""Thresholds that earn much and keep within limits, found while they are in use.

    F = {k : mean g_j(k) − b_k ≤ 0 for all j},   play argmax_F mean r(k) + b_k,   b_k = c √(log t / n_k)

and where F is empty, the k whose worst optimistic residual is smallest. What is not known well is given the benefit of
the doubt on both sides: as to what it earns, and as to whether it is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class FeasibleSearch:
    """Optimistic search over a grid of choices with a reward and residuals of limits (allowed where at most 0).

    Source: OFS, Optimistic Feasible Search for Closed-Loop Fair Threshold Decision-Making. Means that forget (`memory`
    below 1) are for an environment that answers to decisions, chosen here; with 1 and without limits it is UCB1.
    """

    def __init__(self, choices: int, limits: int, width: float = 1.0, memory: float = 1.0) -> None:
        """Nothing known.

        Args:
            choices: size of the grid.
            limits: residuals that are seen after each decision.
            width: c.
            memory: weight of what was known before with each new observation of a choice, above 0 and at most 1.

        Raises:
            ValueError: no choices, or numbers out of range.
        """
        if choices < 1 or limits < 0 or width < 0 or not 0 < memory <= 1:
            raise ValueError(
                f"got {choices} choices, {limits} limits, width={width}, memory={memory}; expected at least one "
                "choice, no negative number, and memory above 0 and at most 1"
            )
        self._width, self._memory = width, memory
        self._played = 0
        self._counts = np.zeros(choices)
        self._reward = np.zeros(choices)
        self._residuals: Floats = np.zeros((choices, limits))

    def choose(self) -> int:
        """What to play next: each choice once, then the best that may be allowed."""
        if (fresh := np.flatnonzero(self._counts == 0)).size:
            return int(fresh[0])
        bonus = self._width * np.sqrt(math.log(max(self._played, 2)) / self._counts)
        lowest = self._residuals - bonus[:, None]
        feasible = (lowest <= 0).all(axis=1)
        if feasible.any():
            return int(np.where(feasible, self._reward + bonus, -np.inf).argmax())
        return int(lowest.max(axis=1).argmin())

    def observe(self, choice: int, reward: float, residuals: Sequence[float]) -> None:
        """What came of a choice.

        Raises:
            ValueError: a choice that is not on the grid, or numbers that are not finite or not as many as limits.
        """
        seen = np.asarray(residuals, np.float64).reshape(-1)
        if not 0 <= choice < len(self._counts) or seen.shape != self._residuals.shape[1:]:
            raise ValueError(
                f"got choice {choice} with {len(seen)} residuals; expected below {len(self._counts)}, and "
                f"{self._residuals.shape[1]} residuals"
            )
        if not (math.isfinite(reward) and np.isfinite(seen).all()):
            raise ValueError(f"got reward {reward} and residuals {seen}; expected finite numbers: skip what is NULL")
        self._played += 1
        self._counts[choice] = self._memory * self._counts[choice] + 1
        share = 1 / self._counts[choice]
        self._reward[choice] += share * (reward - self._reward[choice])
        self._residuals[choice] += share * (seen - self._residuals[choice])

    def state_dict(self) -> dict[str, Any]:
        """What is known, as JSON-able data."""
        return {
            "played": self._played,
            "counts": self._counts.tolist(),
            "reward": self._reward.tolist(),
            "residuals": self._residuals.tolist(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._played = int(state["played"])
        self._counts, self._reward = np.array(state["counts"]), np.array(state["reward"])
        self._residuals = np.asarray(state["residuals"], np.float64).reshape(self._residuals.shape)
