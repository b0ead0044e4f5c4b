"""How many elements to draw before what was taken under quotas is surely good: bounds from two halves of a sample.

Elements that were drawn at random stand for a population, as reverse-reachable sets stand for the spread of news. Where
S was chosen by N of them, and covers Λ₂ of N others, with probability 1 − δ and a = ln(2 rounds / δ)

    share(S) ≥ [(√(Λ₂ + 2a/9) − √(a/2))² − a/18] / N        share(S°) ≤ [√(Λ₁° + a/2) + √(a/2)]² / N

where Λ₁° is the least bound, along the greedy path, on what any choice S° covers of the first N: what is covered by
then and the k_u largest gains of each owner. N is doubled until the ratio of both shares reaches 1/2 − ε.

Source: RR-OPIM+ of CIM, Capacity Constrained Influence Maximization in Social Networks (Zhang et al. 2023), with the
bounds of OPIM (Tang et al. 2018). Chosen here: the same Λ₁° for both orders of `take`; a number of elements at which
doubling ends in any case.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rewards.data.quotas import Bools, Order, Taken, take


class Certified(NamedTuple):
    """What was taken by drawn elements, and what is known of its share of the population.

    Attributes:
        taken: by half of the elements.
        share: covered of the other half, an unbiased estimate.
        low: what it has at least.
        best: what any choice has at most.
        drawn: elements, both halves.
    """

    taken: Taken
    share: float
    low: float
    best: float
    drawn: int


def take_certified(
    draw: Callable[[int], Bools],
    offered: Bools,
    quota: ArrayLike,
    order: Order = "round_robin",
    epsilon: float = 0.1,
    delta: float = 0.01,
    first: int = 64,
    most: int = 65_536,
) -> Certified:
    """Draw elements until what is taken surely has 1/2 − ε of the best, or `most` were drawn.

    Args:
        draw: so many independent elements, with whatever covers them `[number, V]`.
        offered: `[U, V]`.
        quota: k.
        order: of taking.
        epsilon: ε, from 0 to 1/2.
        delta: chance that a bound is wrong.
        first: elements of each half at first.
        most: of each half in the end.

    Raises:
        ValueError: numbers out of their ranges.
    """
    if not (0 <= epsilon <= 0.5 and 0 < delta < 1 and 1 <= first <= most):
        raise ValueError(
            f"got epsilon={epsilon}, delta={delta}, first={first}, most={most}; "
            "expected ε from 0 to 1/2, δ between 0 and 1, and 1 ≤ first ≤ most"
        )
    a = math.log(2 * (math.ceil(math.log2(most / first)) + 1) / delta)
    choosing, judging = draw(first), draw(first)
    while True:
        taken, number = take(choosing.T, offered, quota, order), len(judging)
        hit = int(judging[:, taken.item].any(1).sum())
        low = max(max(math.sqrt(hit + 2 * a / 9) - math.sqrt(a / 2), 0.0) ** 2 - a / 18, 0.0) / number
        best = min((math.sqrt(taken.bound + a / 2) + math.sqrt(a / 2)) ** 2 / number, 1.0)
        if low >= (0.5 - epsilon) * best or number >= most:
            return Certified(taken, hit / number, low, best, 2 * number)
        more = min(number, most - number)
        choosing, judging = np.concatenate([choosing, draw(more)]), np.concatenate([judging, draw(more)])
