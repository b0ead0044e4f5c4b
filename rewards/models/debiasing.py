"""Rewards less what goes with a nuisance, such as length: each loses so much of it that no correlation is left.

    r'_i = r_i − λ_i v      with corr(r'_i, v) = 0 over a reference set of answers

By value (Pearson), λ_i = cov(r_i, v) / var(v). By rank (Spearman) the correlation falls with λ: of each pair of answers
the one with more of v can only lose its place. So there is one zero, and bisection finds it.

Source: ArmoRM (Wang, Xiong et al. 2024), where v is the reward of verbosity and the correlation is Spearman's. The
released code takes the first λ of a grid where it is below 0.03, and leaves negative ones alone; the zero itself, of
either sign, is chosen here.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.comparison.correlation import spearman

Floats = NDArray[np.float64]
HALVINGS = 50


def penalties(rewards: ArrayLike, nuisance: ArrayLike, by: Literal["value", "rank"] = "rank") -> Floats:
    """λ of each reward `[K]`; that of the nuisance itself is 1, that of a constant 0.

    Args:
        rewards: of the reference set `[N, K]`.
        nuisance: v of the same answers `[N]`.
        by: which correlation is to be 0: of values (Pearson) or of ranks (Spearman).

    Raises:
        ValueError: shapes that do not fit, values that are not finite, or a nuisance that is constant.
    """
    values, v = np.asarray(rewards, np.float64), np.asarray(nuisance, np.float64)
    if values.ndim != 2 or v.shape != values.shape[:1]:
        raise ValueError(f"got rewards {values.shape} and a nuisance {v.shape}; expected [N, K] and [N]")
    if not np.isfinite(values).all() or not np.isfinite(v).all():
        raise ValueError("got rewards or a nuisance that are not finite; leave out answers with a NULL")
    if not len(v) or np.ptp(v) == 0:
        raise ValueError(f"got a nuisance that is the same for all {len(v)} answers; expected one that varies")
    apart = v - v.mean()
    slopes: Floats = apart @ (values - values.mean(0)) / (apart @ apart)
    if by == "value":
        return slopes
    return np.array([_by_rank(column, v, slope) for column, slope in zip(values.T, slopes, strict=True)])


def _by_rank(values: Floats, v: Floats, slope: float) -> float:
    """λ with no rank correlation left, near the slope of the values."""
    if np.ptp(values) == 0:
        return 0.0
    reach = float(np.ptp(values) / np.ptp(v))
    low, high = slope - reach, slope + reach
    while (spearman(values - low * v, v) or 0.0) < 0:
        low -= reach
    while (spearman(values - high * v, v) or 0.0) > 0:
        high += reach
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if (spearman(values - middle * v, v) or 0.0) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def without(heads: ArrayLike, nuisance: int, penalty: ArrayLike) -> Floats:
    """Heads of the debiased rewards `[K, d]`: where all rewards are linear in the features, so is what is left of them.

    Args:
        heads: of all rewards `[K, d]`.
        nuisance: which of them is v.
        penalty: λ `[K]`.
    """
    weights = np.asarray(heads, np.float64)
    found: Floats = weights - np.asarray(penalty, np.float64)[:, None] * weights[nuisance]
    return found
