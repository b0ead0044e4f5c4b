"""Rewards of decisions between classes; when always saying the same is paid for, and a monitor of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def decision_reward(
    decided: ArrayLike, actual: ArrayLike, bonus: Sequence[float] | Floats, penalty: Sequence[float] | Floats
) -> Floats:
    """a_c where the true class c was decided, −b_c where another was.

    Small, equal and balanced by the shares of classes, it polishes what supervised training has taught; a penalty that
    is large for one class teaches always to decide for it.

    Source: Custom reward functions in job application evaluation using RL, whose terms and numbers are not known here.

    Args:
        decided: number of the decided class, of any shape; negative where no decision could be read.
        actual: of the true class, of the same shape; negative where it is not known.
        bonus: a, of each true class.
        penalty: b, of each true class.

    Returns:
        Of that shape; NaN where either is not known.

    Raises:
        ValueError: shapes that differ, classes without their numbers, or negative ones.
    """
    chosen, true = np.asarray(decided, np.int64), np.asarray(actual, np.int64)
    gains, costs = np.asarray(bonus, np.float64), np.asarray(penalty, np.float64)
    if chosen.shape != true.shape or gains.shape != costs.shape or gains.ndim != 1 or not len(gains):
        raise ValueError(
            f"got decisions of shape {chosen.shape} for classes of {true.shape}, {gains.shape} bonuses and "
            f"{costs.shape} penalties; expected the same shapes, and one of each a class"
        )
    if max(chosen.max(initial=-1), true.max(initial=-1)) >= len(gains) or (gains < 0).any() or (costs < 0).any():
        raise ValueError(f"got a class beyond {len(gains) - 1}, or negative numbers; expected sizes of at least 0")
    known = (chosen >= 0) & (true >= 0)
    paid = np.where(chosen == true, gains[np.maximum(true, 0)], -costs[np.maximum(true, 0)])
    return np.where(known, paid, np.nan)


def constant_worth(shares: ArrayLike, bonus: ArrayLike, penalty: ArrayLike) -> Floats:
    """What always deciding for each class k earns on average: p_k a_k − Σ_{c ≠ k} p_c b_c, `[C]`.

    A reward is safe from it where a policy that decides as well as can be had earns more than the largest of these.

    Raises:
        ValueError: shares that do not sum to 1, or shapes that differ.
    """
    p, gains, costs = (np.asarray(values, np.float64) for values in (shares, bonus, penalty))
    if not p.shape == gains.shape == costs.shape or (p < 0).any() or abs(p.sum() - 1) > 1e-6:
        raise ValueError(f"got shares {p} for bonuses {gains} and penalties {costs}; expected as many, summing to 1")
    found: Floats = p * gains - ((p * costs).sum() - p * costs)
    return found


def collapsed(rate: float, base_rate: float, most: float) -> bool:
    """Whether decisions for a class have strayed from its share by more than `most`: always the same, perhaps.

    Raises:
        ValueError: rates outside of 0 to 1.
    """
    if not 0 <= rate <= 1 or not 0 <= base_rate <= 1 or most < 0:
        raise ValueError(f"got rates {rate} and {base_rate} and a bound of {most}; expected 0 to 1, and at least 0")
    return abs(rate - base_rate) > most
