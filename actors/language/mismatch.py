"""How far the engine that sampled and the learner that trains disagree about the same tokens.

Both run the same weights, in other kernels, precisions and batches. The gap makes on-policy data a little off-policy;
it is measured here, shown by the trackers, and corrected in the learner by truncated importance sampling or masking.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Mismatch(NamedTuple):
    """Statistics over the policy's own tokens, with r = learner's over engine's probability.

    Attributes:
        tokens: how many were compared.
        mean_abs: mean of |log r|.
        max_abs: largest |log r|.
        kl_k1: estimate of KL(engine || learner), mean of -log r: unbiased, may be negative (Schulman 2020).
        kl_k3: mean of r - 1 - log r: unbiased, never negative, less noisy.
        ess: effective sample size as a share, (Σr)² / (N Σr²): 1 where both agree.
    """

    tokens: int
    mean_abs: float
    max_abs: float
    kl_k1: float
    kl_k3: float
    ess: float


def mismatch(engine: ArrayLike, learner: ArrayLike, mask: ArrayLike) -> Mismatch | None:
    """Compare log-probabilities of the same tokens.

    Args:
        engine: as sampled, any shape.
        learner: as the learner computes them, under the same temperature, same shape.
        mask: which tokens the policy sampled, same shape.

    Returns:
        The statistics, or None where no token was sampled.

    Raises:
        ValueError: shapes differ, or a log-probability under the mask is not a number.
    """
    sampled, computed, own = np.asarray(engine, np.float64), np.asarray(learner, np.float64), np.asarray(mask, bool)
    if not sampled.shape == computed.shape == own.shape:
        raise ValueError(f"got shapes {sampled.shape}, {computed.shape} and {own.shape}; expected one shape")
    log_ratio = computed[own] - sampled[own]
    if not len(log_ratio):
        return None
    if np.isnan(log_ratio).any():
        raise ValueError(f"got {int(np.isnan(log_ratio).sum())} log-probabilities that are NaN; expected numbers")
    scaled = np.exp(log_ratio - log_ratio.max())  # the share does not change with scale, and cannot overflow
    with np.errstate(over="ignore"):
        k3 = np.expm1(log_ratio) - log_ratio
    return Mismatch(
        tokens=len(log_ratio),
        mean_abs=float(np.abs(log_ratio).mean()),
        max_abs=float(np.abs(log_ratio).max()),
        kl_k1=float(-log_ratio.mean()),
        kl_k3=float(k3.mean()),
        ess=float(scaled.sum() ** 2 / (len(scaled) * (scaled**2).sum())),
    )
