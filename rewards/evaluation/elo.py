"""Where somebody stands in contests: the share of others that he has beaten, and ratings that follow one another.

    E_ij = 1 / (1 + 10^((R_j − R_i) / 400))        ΔR_i = K / (n − 1) · Σ_{j≠i} (S_ij − E_ij)

S_ij is 1 where i has the higher score of a contest, ½ where both have the same, 0 elsewhere; ratings sum to what they
did.

Source: Elo's ratings (Elo 1978), every contest as one of all pairs. Agent K v1.0 (Grosnit et al. 2024) reports
quantiles of ranks and Elo-MMR, which also follows how sure a rating is; that is not here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def beaten(scores: ArrayLike) -> Floats:
    """Share of the others whose score is lower, those of the same score by half `[n]`.

    Raises:
        ValueError: fewer than two scores, or one that is not known.
    """
    found: Floats = _won(scores).sum(1) / (len(np.asarray(scores)) - 1)
    return found


def rated(ratings: ArrayLike, scores: ArrayLike, gain: float = 32.0) -> Floats:
    """Ratings after a contest `[n]`.

    Args:
        ratings: before it `[n]`.
        scores: of the contest, the higher the better `[n]`.
        gain: K, at least 0.

    Raises:
        ValueError: shapes that differ, fewer than two, a score that is not known, or a negative gain.
    """
    before, won = np.asarray(ratings, np.float64), _won(scores)
    if before.shape != won.shape[:1] or gain < 0:
        raise ValueError(f"got ratings {before.shape}, {len(won)} scores and gain={gain}; expected [n], n and ≥ 0")
    expected = 1 / (1 + 10 ** ((before[None] - before[:, None]) / 400))
    np.fill_diagonal(expected, 0.0)
    found: Floats = before + gain / (len(before) - 1) * (won - expected).sum(1)
    return found


def _won(scores: ArrayLike) -> Floats:
    of = np.asarray(scores, np.float64)
    if of.ndim != 1 or len(of) < 2 or not np.isfinite(of).all():
        raise ValueError(f"got scores {of}; expected two finite numbers or more")
    found: Floats = (of[:, None] > of[None]) + 0.5 * (of[:, None] == of[None])
    np.fill_diagonal(found, 0.0)
    return found
