"""Calibration: whether what a judge calls likely comes true as often as it says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Bin:
    """Verdicts of a stretch of probability: mean of what was said, share that came true, and how many."""

    said: float
    true: float
    n: int


@dataclass(frozen=True)
class Calibration:
    """Of probabilities against outcomes.

    Attributes:
        ece: expected calibration error, Σ n_b/N |true_b − said_b| (Naeini et al. 2015); None of nothing.
        brier: mean squared error (Brier 1950); None of nothing.
        curve: the reliability curve; empty bins are left out.
        n: verdicts with a value.
    """

    ece: float | None
    brier: float | None
    curve: tuple[Bin, ...]
    n: int


def calibration(probabilities: ArrayLike, outcomes: ArrayLike, bins: int = 10) -> Calibration:
    """Compare probabilities `[N]` with outcomes `[N]` of 0 or 1; NaN is NULL, and left out.

    Args:
        probabilities: that a judge gave.
        outcomes: what was true.
        bins: of equal width.

    Raises:
        ValueError: a probability is outside [0, 1].
    """
    p, y = np.asarray(probabilities, np.float64), np.asarray(outcomes, np.float64)
    known = ~(np.isnan(p) | np.isnan(y))
    p, y = p[known], y[known]
    if not len(p):
        return Calibration(None, None, (), 0)
    if p.min() < 0 or p.max() > 1:
        raise ValueError(f"got a score of {p[(p < 0) | (p > 1)][0]:g}; expected probabilities in [0, 1]")
    which = np.minimum((p * bins).astype(int), bins - 1)
    curve = tuple(
        Bin(float(p[which == k].mean()), float(y[which == k].mean()), int((which == k).sum())) for k in np.unique(which)
    )
    ece = sum(one.n / len(p) * abs(one.true - one.said) for one in curve)
    return Calibration(float(ece), float(((p - y) ** 2).mean()), curve, len(p))
