"""RewardFusion: a reward is averaged with those of the most similar examples that the model was trained on.

    r̃(q) = (r(q) + Σ_k s_k r(x_k)) / (1 + Σ_k s_k)      over at most five x_k with similarity s_k ≥ 0.9

Source: Shen et al. 2023, "The Trickle-down Impact of Reward (In-)consistency on RLHF" (arXiv 2309.16155).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def fused_rewards(
    rewards: ArrayLike, similarity: ArrayLike, neighbours: ArrayLike, least: float = 0.9, most: int = 5
) -> NDArray[np.float64]:
    """Rewards, averaged with those of similar training examples; without any, the rewards themselves.

    Args:
        rewards: r(q) `[B]`; NaN where NULL, and it stays so.
        similarity: of each with each training example, at most 1 `[B, N]`.
        neighbours: rewards of the training examples by the same model `[N]`; NULLs are nobody's neighbours.
        least: similarity that a neighbour must have, above 0.
        most: neighbours of one.

    Returns:
        `[B]`.

    Raises:
        ValueError: shapes that do not fit, or bounds that make no sense.
    """
    own, alike, other = (np.asarray(values, np.float64) for values in (rewards, similarity, neighbours))
    if alike.shape != (*own.shape, *other.shape) or own.ndim != 1 or other.ndim != 1:
        raise ValueError(f"got {own.shape}, {alike.shape}, {other.shape}; expected [B], [B, N] and [N]")
    if least <= 0 or most < 0:
        raise ValueError(f"got least={least} and most={most}; expected above 0, and 0 or more")
    weights = np.where((alike >= least) & ~np.isnan(other), alike, 0.0)
    rank = np.argsort(np.argsort(-weights, axis=1, kind="stable"), axis=1)
    weights = np.where(rank < most, weights, 0.0)
    found: NDArray[np.float64] = (own + weights @ np.nan_to_num(other)) / (1 + weights.sum(axis=1))
    return found
