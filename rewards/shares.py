"""Intervals of shares: how often something happened, and how sure one can be of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Z95 = 1.959963984540054


def wilson(successes: int, n: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a share; 0 to 1 where nothing was tried.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    Raises:
        ValueError: `successes` is not between 0 and `n`.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"got {successes} successes of {n}; expected 0 to {n}")
    if not n:
        return 0.0, 1.0
    share, spread = successes / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    # At the ends the bound is exactly 0 or 1; rounding must not move it inwards.
    return 0.0 if successes == 0 else centre - half, 1.0 if successes == n else centre + half


def clustered(successes: Sequence[int], tries: Sequence[int], resamples: int = 2000) -> tuple[float, float]:
    """95 % bootstrap interval of a share whose tries come in clusters that are alike; clusters are drawn.

    Where all tries ended alike a bootstrap shrinks to a point; there Wilson's interval over the clusters stands in,
    as if the tries of a cluster were copies of each other. For one cluster it is Wilson's over the tries.

    Args:
        successes: in each cluster, `[K]`.
        tries: of each cluster, `[K]`.
        resamples: drawn with a fixed seed.
    """
    good, all_ = np.asarray(successes), np.asarray(tries)
    if not all_.sum():
        return 0.0, 1.0
    if len(all_) == 1:
        return wilson(int(good.sum()), int(all_.sum()))
    if good.sum() in (0, all_.sum()):
        clusters = int((all_ > 0).sum())
        return wilson(clusters if good.sum() else 0, clusters)
    drawn = np.random.default_rng(0).integers(len(good), size=(resamples, len(good)))
    totals = all_[drawn].sum(1)
    shares = good[drawn].sum(1)[totals > 0] / totals[totals > 0]
    low, high = np.quantile(shares, [0.025, 0.975])
    return float(low), float(high)
