"""Weights of several objectives that move to those from which all still gain.

    I_i = ⟨g_i, Σ_j g_j⟩,   w ← softmax(log w + η I / μ)

g_i is the policy gradient of objective i alone: I is large where a step for all of them helps it, and small where it is
learnt already (its gradient is gone) or stands against the others. Weights stay on the simplex.

Source: Dynamic Reward Weighting (Lu et al. 2025), gradient-based; its other scheme is `hypervolume_guided`. η is the
learning rate of now, μ a regularisation; only their ratio matters, `rate` here. Influences may be averaged over a few
steps by whoever collects them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def influences(gradients: Tensor) -> Tensor:
    """I `[K]` of gradients `[K, D]`.

    Raises:
        ValueError: not a matrix of finite numbers.
    """
    if gradients.ndim != 2 or not bool(torch.isfinite(gradients).all()):
        raise ValueError(f"got gradients of shape {tuple(gradients.shape)}; expected finite numbers [K, D]")
    return gradients @ gradients.sum(0)


def reweighted(weights: Sequence[float] | Tensor, influence: Tensor, rate: float) -> Tensor:
    """The next weights `[K]`.

    Args:
        weights: w, all above 0, sum 1.
        influence: I `[K]`.
        rate: η / μ, at least 0; 0 leaves the weights alone.

    Raises:
        ValueError: weights that are not on the simplex, shapes that differ, or a rate below 0.
    """
    now = torch.as_tensor(weights, dtype=influence.dtype)
    if now.shape != influence.shape or not bool((now > 0).all()) or abs(float(now.sum()) - 1) > 1e-4 or rate < 0:
        raise ValueError(
            f"got weights {now.tolist()}, {len(influence)} influences and rate={rate}; expected as many weights above "
            "0 that sum to 1, and a rate of at least 0"
        )
    return (now.log() + rate * influence).softmax(0)
