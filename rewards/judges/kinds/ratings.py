"""Ratings out of pairwise results.

Bradley and Terry 1952: P(i beats j) = p_i / (p_i + p_j). The strengths are found by the MM algorithm of Hunter 2004
("MM algorithms for generalized Bradley-Terry models", equation 3); a tie counts half a win for each side.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_ROUNDS = 1_000
TOLERANCE = 1e-8


def bradley_terry(wins: NDArray[np.float64], prior: float = 0.1) -> NDArray[np.float64]:
    """Log-strengths, with mean 0.

    Args:
        wins: how often the row's member beat the column's, `[N, N]`; fractions for ties and soft preferences. The
            diagonal is ignored.
        prior: wins and losses that everyone is given against an imaginary member of strength 1, so that one who
            never lost has a finite strength.

    Returns:
        `[N]`; the difference of two is the log-odds that the one beats the other.

    Raises:
        ValueError: `wins` is not square, or holds negative or not finite numbers.
    """
    wins = np.asarray(wins, np.float64)
    if wins.ndim != 2 or wins.shape[0] != wins.shape[1] or not np.isfinite(wins).all() or (wins < 0).any():
        raise ValueError(f"got wins of shape {wins.shape}; expected a square table of finite numbers from 0 on")
    wins = wins.copy()
    np.fill_diagonal(wins, 0.0)
    games, won = wins + wins.T, wins.sum(1) + prior
    strengths = np.ones(len(wins))
    for _ in range(MAX_ROUNDS):
        odds = (games / (strengths[:, None] + strengths[None])).sum(1) + 2 * prior / (strengths + 1)
        updated = won / np.maximum(odds, np.finfo(np.float64).tiny)
        moved = float(np.abs(np.log(updated) - np.log(strengths)).max(initial=0.0))
        strengths = updated
        if moved < TOLERANCE:
            break
    logs: NDArray[np.float64] = np.log(strengths) - np.log(strengths).mean()
    return logs
