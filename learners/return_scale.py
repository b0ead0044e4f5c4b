"""`ReturnScale`: how large returns are, so that a critic learns numbers of about 1 whatever the game pays.

Values of hundreds make a value loss of ten thousands, whose gradient leaves a network that policy and critic share no
room for the policy's. The critic learns (return - mean) / deviation, and is read back before returns are computed
(van Hasselt et al. 2016, "Learning values across many orders of magnitude", equations 1 and 6). As in Sample Factory
(Petrenko et al. 2020) the last layer is not corrected when the scale moves: it moves slowly.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

RATE = 0.01  # of a new batch in the running moments
ROUNDING = 1e-12  # share of the mean square below which a variance is the rounding of returns, which are float32


class ReturnScale:
    """Running mean and deviation of returns. Where none was seen, every value stands for a return of 0."""

    def __init__(self) -> None:
        """Nothing was seen."""
        self._mean = self._square = self._seen = 0.0

    @property
    def mean(self) -> float:
        """Of returns; 0 where none was seen."""
        return self._mean / self._seen if self._seen else 0.0

    @property
    def deviation(self) -> float:
        """Of returns, around their mean; 0 where none was seen, or all are the same but for rounding."""
        if not self._seen:
            return 0.0
        square = self._square / self._seen
        variance = square - self.mean**2
        return math.sqrt(variance) if variance > ROUNDING * square else 0.0

    def see(self, mean: float, square: float) -> None:
        """Returns of one more batch: their mean, and that of their squares. What is not finite is passed over."""
        if not math.isfinite(mean + square):
            return
        self._mean += RATE * (mean - self._mean)
        self._square += RATE * (square - self._square)
        self._seen += RATE * (1.0 - self._seen)

    def returns(self, value: Tensor) -> Tensor:
        """What the critic's numbers stand for, of any shape."""
        return value * self.deviation + self.mean

    def values(self, returns: Tensor) -> Tensor:
        """What the critic has to say of returns, of any shape."""
        return (returns - self.mean) / self._unit

    def gains(self, advantage: Tensor) -> Tensor:
        """Differences of returns in the unit of the critic's numbers, of any shape."""
        return advantage / self._unit

    @property
    def _unit(self) -> float:
        return self.deviation or 1.0

    def state(self) -> Tensor:
        """The moments, `[3]` of float64."""
        return torch.tensor([self._mean, self._square, self._seen], dtype=torch.float64)

    def load(self, state: Tensor) -> None:
        """Go on from what `state` gave."""
        self._mean, self._square, self._seen = state.tolist()
