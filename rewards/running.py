"""`RunningMoments`: mean and variance of a stream, exact whatever the batches.

Source: Chan, Golub & LeVeque (1979), "Updating formulae and a pairwise algorithm for computing sample variances".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


class RunningMoments:
    """Count, mean and population variance of all rows seen.

    Attributes:
        count: rows seen.
        mean: `shape`; 0 before the first row.
        frozen: while True, `update` and `merge` change nothing (evaluation).
    """

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        """Statistics of rows of `shape`."""
        self.count = 0
        self.mean: NDArray[np.float64] = np.zeros(shape)
        self._squares: NDArray[np.float64] = np.zeros(shape)
        self.frozen = False

    @property
    def variance(self) -> NDArray[np.float64]:
        """Mean squared distance from the mean, `shape`; 1 before the first row, so that nothing is scaled by it."""
        return self._squares / self.count if self.count else np.ones_like(self.mean)

    @property
    def std(self) -> NDArray[np.float64]:
        """Square root of `variance`."""
        return np.sqrt(self.variance)

    def update(self, rows: ArrayLike) -> None:
        """See rows `[N, *shape]`.

        Raises:
            ValueError: a row has another shape, or is not finite.
        """
        values = np.asarray(rows, np.float64)
        if values.shape[1:] != self.mean.shape or values.ndim != self.mean.ndim + 1:
            raise ValueError(f"got rows of shape {values.shape}; expected [N, {', '.join(map(str, self.mean.shape))}]")
        if not np.isfinite(values).all():
            raise ValueError("got NaN or infinity; expected finite rows: drop NULLs before statistics are taken")
        if len(values):
            mean = values.mean(0)
            self._combine(len(values), mean, ((values - mean) ** 2).sum(0))

    def merge(self, other: RunningMoments) -> None:
        """See all that `other` saw."""
        if other.count:
            self._combine(other.count, other.mean, other._squares)

    def _combine(self, count: int, mean: NDArray[np.float64], squares: NDArray[np.float64]) -> None:
        if self.frozen:
            return
        total = self.count + count
        delta = mean - self.mean
        self.mean = self.mean + delta * (count / total)
        self._squares = self._squares + squares + delta**2 * (self.count * count / total)
        self.count = total

    def state_dict(self) -> dict[str, Any]:
        """The statistics as JSON-able data; floats survive JSON exactly."""
        return {
            "count": self.count,
            "mean": self.mean.tolist(),
            "squares": self._squares.tolist(),
            "frozen": self.frozen,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` saved.

        Raises:
            ValueError: the saved rows have another shape.
        """
        mean = np.asarray(state["mean"], np.float64)
        if mean.shape != self.mean.shape:
            raise ValueError(f"got statistics of shape {mean.shape}; expected {self.mean.shape}")
        self.count, self.mean = int(state["count"]), mean
        self._squares = np.asarray(state["squares"], np.float64)
        self.frozen = bool(state["frozen"])
