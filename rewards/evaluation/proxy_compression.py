"""Proxy compression: how far a reward and what is meant come apart, where the reward keeps only some of what is meant.

    gold = Σ_d w_d f_d          proxy = Σ_{d kept} w_d f_d

    gap(n) = E[z(proxy) of the best of n] − E[z(gold) of the same answer]          best by the proxy

z is a score less the mean of its problem, in standard deviations within problems, so that a smaller sum is no gap. Best
of n stands for optimisation of any kind: its KL grows like log n − (n − 1) / n. The gap is 0 at n = 1, and at all n
where everything is kept.

Source: the Proxy Compression Hypothesis of "Reward Hacking in the Era of Large Models: Mechanisms, Emergent
Misalignment, Challenges" (survey, 2026), which has no formula for it; linear gold, standard scores and best of n are
chosen here. docs/reward-hacking.md lists by its three drivers what this repository has against them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.evaluation.accuracy import best_of_n

Floats = NDArray[np.float64]


def compressed(features: ArrayLike, weights: ArrayLike, kept: ArrayLike) -> Floats:
    """Σ of the features that are kept, of the shape of `features` without its last dimension.

    Args:
        features: f `[..., D]`; NaN where NULL, and so is the reward if that one is kept.
        weights: w `[D]`.
        kept: which features the reward keeps, bool `[D]`.

    Raises:
        ValueError: shapes that do not fit.
    """
    f, w, held = np.asarray(features, np.float64), np.asarray(weights, np.float64), np.asarray(kept)
    if not f.ndim or f.shape[-1:] != w.shape or w.shape != held.shape or held.dtype != np.bool_:
        raise ValueError(
            f"got features {f.shape}, weights {w.shape} and kept {held.shape} of {held.dtype}; expected [..., D], [D] "
            "and booleans [D]"
        )
    total: Floats = f[..., held] @ w[held]
    return total


def proxy_gold_gap(proxy: ArrayLike, gold: ArrayLike, n: int) -> float:
    """gap(n), in standard deviations, exactly over all choices of n of the K answers to each problem.

    Args:
        proxy: scores of K answers to each of P problems `[P, K]`; all of them known.
        gold: what they are worth `[P, K]`.
        n: answers to choose from, 1 to K.

    Raises:
        ValueError: shapes that differ, a score that is not known, no spread, or n out of its range.
    """
    scores, worth = np.asarray(proxy, np.float64), np.asarray(gold, np.float64)
    if scores.ndim != 2 or scores.shape != worth.shape or not np.isfinite(scores + worth).all():
        raise ValueError(
            f"got proxy {scores.shape} and gold {worth.shape}; expected the same [P, K], all of them known"
        )
    if not 1 <= n <= scores.shape[1]:
        raise ValueError(f"got n={n} of {scores.shape[1]} answers; expected at least 1, and no more than there are")
    seen, meant = _standard(scores), _standard(worth)
    found, real = (best_of_n(seen.tolist(), one.tolist(), n) for one in (seen, meant))
    return (found or 0.0) - (real or 0.0)


def _standard(values: Floats) -> Floats:
    apart = values - values.mean(1, keepdims=True)
    spread = float(np.sqrt((apart**2).mean())) if apart.size else 0.0
    if spread == 0:
        raise ValueError("got scores that are the same within every problem; expected answers that differ")
    standard: Floats = apart / spread
    return standard
