"""How much of what a learner would do changes with the reward: the advantages that each of two rewards induces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rewards.comparison.correlation import known, pearson


@dataclass(frozen=True)
class AdvantageChange:
    """Advantages of the same actions under two rewards, each brought to deviation 1 first, as learners do.

    Attributes:
        count: actions whose advantage is known under both.
        correlation: Pearson's; None where one of them is constant.
        turned: share of actions that one reward encourages and the other discourages.
        distance: root mean square of the difference, in deviations: 0 the same, √2 unrelated, 2 turned round. None as
            for `correlation`.
    """

    count: int
    correlation: float | None
    turned: float | None
    distance: float | None


def advantage_change(a: ArrayLike, b: ArrayLike, weights: ArrayLike | None = None) -> AdvantageChange:
    """Compare advantages `[N]` of the same actions; NaN where NULL, and left out.

    Args:
        a: under one reward.
        b: under the other.
        weights: how often each action was taken `[N]`.
    """
    x, y, share = known(a, b, weights)
    if not len(x):
        return AdvantageChange(0, None, None, None)
    tiny_x, tiny_y = 1e-9 * np.abs(x).max(), 1e-9 * np.abs(y).max()
    opposite = (x > tiny_x) & (y < -tiny_y) | (x < -tiny_x) & (y > tiny_y)
    correlation = pearson(x, y, share)
    distance = None if correlation is None else float(np.sqrt(max(0.0, 2 - 2 * correlation)))
    return AdvantageChange(len(x), correlation, float(share @ opposite), distance)
