"""Correlations of two rewards over the same subjects, where both have a value: by value (Pearson) and by rank."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rewards.comparison.tabular import Floats

FLAT = 1e-12  # relative to the values: a spread below it is rounding


def known(a: ArrayLike, b: ArrayLike, weights: ArrayLike | None = None) -> tuple[Floats, Floats, Floats]:
    """The entries where neither is NaN, and their weights, which sum to 1 unless there are none.

    Raises:
        ValueError: lengths differ, or a weight is below 0.
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    each = np.ones(first.shape) if weights is None else np.asarray(weights, np.float64)
    if not first.shape == second.shape == each.shape:
        raise ValueError(f"got shapes {first.shape}, {second.shape}, {each.shape}; expected one entry a subject")
    if (each < 0).any():
        raise ValueError("got a weight below 0; expected how often each subject was met")
    both = ~(np.isnan(first) | np.isnan(second)) & (each > 0)
    each = each[both]
    return first[both], second[both], each / each.sum() if len(each) else each


def pearson(a: ArrayLike, b: ArrayLike, weights: ArrayLike | None = None) -> float | None:
    """Pearson's ρ over what both know; None where either is constant there, or nothing is known.

    Args:
        a: values `[N]`, NaN where NULL.
        b: of the other `[N]`.
        weights: how often each subject was met `[N]`.
    """
    x, y, share = known(a, b, weights)
    if len(x) < 2:
        return None
    x_size, y_size = np.abs(x).max(), np.abs(y).max()
    x, y = x - share @ x, y - share @ y
    spread_x, spread_y = float(np.sqrt(share @ x**2)), float(np.sqrt(share @ y**2))
    if spread_x <= FLAT * x_size or spread_y <= FLAT * y_size:
        return None
    return float(np.clip((share @ (x * y)) / (spread_x * spread_y), -1.0, 1.0))


def spearman(a: ArrayLike, b: ArrayLike) -> float | None:
    """Spearman's rank correlation: Pearson's of ranks, ties at their mean rank (Spearman 1904)."""
    from scipy.stats import rankdata  # slow to import, and every process of a run comes by here

    x, y, _ = known(a, b)
    return pearson(rankdata(x), rankdata(y)) if len(x) > 1 else None


def kendall(a: ArrayLike, b: ArrayLike) -> float | None:
    """Kendall's τ_b: agreement of the orders of all pairs, those that tie left out of the scale (Kendall 1945).

    Returns:
        −1 to 1 over what both know; None where either is the same for all, or nothing is known.
    """
    from scipy.stats import kendalltau  # slow to import, as above

    x, y, _ = known(a, b)
    found = float(kendalltau(x, y).statistic) if len(x) > 1 else np.nan
    return None if np.isnan(found) else found
