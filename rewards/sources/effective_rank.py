"""Effective rank of hidden states: in how many directions an answer has moved, and how that number grows.

ER(Z) = exp(−Σ_j p_j log p_j), p_j the singular values of Z over their sum (Roy and Vetterli 2007).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def effective_rank(states: ArrayLike) -> float:
    """ER of `[T, D]`: between 1 and the rank; 0 where all states are 0.

    Raises:
        ValueError: not a matrix, or numbers that are not finite.
    """
    matrix = np.asarray(states, np.float64)
    if matrix.ndim != 2 or not np.isfinite(matrix).all():
        raise ValueError(f"got hidden states of shape {matrix.shape}; expected finite numbers [T, D]")
    values = np.linalg.svd(matrix, compute_uv=False)
    share = values / total if (total := values.sum()) > 0 else values
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum())) if len(share) else 0.0


class RankTrend(NamedTuple):
    """ER of a whole answer, and how it came about.

    Attributes:
        rank: ER.
        velocity: ERV, the mean over prefixes of δ_t = ER_t − mean of those before.
        acceleration: ERA, the mean of δ_t − δ_{t−1}.
    """

    rank: float
    velocity: float
    acceleration: float


def rank_trend(states: ArrayLike, stride: int = 40) -> RankTrend:
    """ER of an answer's hidden states `[T, D]`, and of its prefixes of every `stride` tokens and the whole.

    Velocity needs two prefixes and acceleration three; with fewer they are 0: nothing has moved yet.

    Source: VERL; that the whole answer is the last prefix is chosen here.

    Raises:
        ValueError: a stride below 1, or what `effective_rank` refuses.
    """
    matrix = np.asarray(states, np.float64)
    if stride < 1:
        raise ValueError(f"got a stride of {stride}; expected at least 1 token")
    rank = effective_rank(matrix)
    ends = [*range(stride, len(matrix), stride)]
    ranks: Floats = np.array([*(effective_rank(matrix[:end]) for end in ends), rank])
    delta = ranks[1:] - np.cumsum(ranks)[:-1] / np.arange(1, len(ranks))
    velocity = float(delta.mean()) if len(delta) else 0.0
    acceleration = float(np.diff(delta).mean()) if len(delta) > 1 else 0.0
    return RankTrend(rank, velocity, acceleration)
