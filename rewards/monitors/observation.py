"""`Observation`: what one update shows of a reward, from the values of its answers or steps; NULL where not known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from rewards.comparison.correlation import pearson


@dataclass(frozen=True)
class Observation:
    """Of one update; None: not known.

    Attributes:
        proxy: mean of the reward that is learnt from.
        gold: mean of the held-out reward that is meant.
        correlation: of the two over the answers of the update.
        disagreement: share of answers that one puts above the middle of its range, and the other below; None where all
            are the same to one of them.
        proxy_spread: standard deviation of the proxy.
        gold_spread: of the gold.
        gold_high: the highest gold of the update.
        extreme: share of answers that earn the highest proxy of the update.
        proxy_low: the lowest proxy of the update.
        proxy_high: the highest.
        length: mean length of answers or episodes.
        entropy: of the policy.
        components: mean contribution of each component.
    """

    proxy: float | None = None
    gold: float | None = None
    correlation: float | None = None
    disagreement: float | None = None
    proxy_spread: float | None = None
    gold_spread: float | None = None
    gold_high: float | None = None
    extreme: float | None = None
    proxy_low: float | None = None
    proxy_high: float | None = None
    length: float | None = None
    entropy: float | None = None
    components: Mapping[str, float] = field(default_factory=dict)

    @property
    def dominance(self) -> float | None:
        """Share of the largest component in the sum of all by size; None of fewer than two that pay anything."""
        sizes = [abs(value) for value in self.components.values()]
        return max(sizes) / sum(sizes) if len(sizes) > 1 and sum(sizes) > 0 else None


def observed(
    proxy: ArrayLike,
    gold: ArrayLike | None = None,
    length: float | None = None,
    entropy: float | None = None,
    components: Mapping[str, float] | None = None,
) -> Observation:
    """An observation of N answers; NaN where NULL.

    Args:
        proxy: what each earned `[N]`.
        gold: what it should have earned `[N]`; None: nobody says.
        length: mean length.
        entropy: of the policy.
        components: mean contribution of each component.
    """
    earned = np.asarray(proxy, np.float64)
    known = earned[~np.isnan(earned)]
    found: dict[str, float | None] = {}
    if len(known):
        found = {"proxy": float(known.mean()), "proxy_spread": float(known.std())}
        found |= {"proxy_low": float(known.min()), "proxy_high": float(known.max())}
        found["extreme"] = float(np.isclose(known, known.max()).mean())
    if gold is not None:
        meant = np.asarray(gold, np.float64)
        told = meant[~np.isnan(meant)]
        if len(told):
            found |= {"gold": float(told.mean()), "gold_spread": float(told.std()), "gold_high": float(told.max())}
        both = ~(np.isnan(earned) | np.isnan(meant))
        found["correlation"] = pearson(earned, meant)
        if both.any() and np.ptp(earned[both]) > 0 and np.ptp(meant[both]) > 0:
            sides = [x > (x.min() + x.max()) / 2 for x in (earned[both], meant[both])]
            found["disagreement"] = float((sides[0] != sides[1]).mean())
    return Observation(**found, length=length, entropy=entropy, components=dict(components or {}))
