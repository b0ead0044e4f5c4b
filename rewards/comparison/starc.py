"""STARC distances: how far apart two rewards are, once what no policy can feel is taken out.

    s(R) = C(R) / n(C(R)),   0 where C(R) is 0;      d(R1, R2) = ½ n(s(R1) − s(R2))

With C a canonicalisation and n a norm this is a STARC metric (Skalse et al. 2024, section 2): 0 exactly where both
order all policies alike, 1 where one is the other turned round, and it bounds the regret of following the wrong one
from both sides. The ½ brings the norm's own distance, which the paper allows, to the scale of EPIC.
"""

from __future__ import annotations

import numpy as np

from rewards.comparison.canonicalisation import Order, minimal, val
from rewards.comparison.tabular import Floats, TabularMDP

NOTHING = 1e-12  # relative to the reward: a canonical reward below it is rounding, and stands for 0


def norm(values: Floats, order: Order = 2) -> float:
    """The norm of a canonical reward, all entries counted once."""
    return float(np.linalg.norm(np.asarray(values).reshape(-1), np.inf if order == "inf" else order))


def standardised(canonical: Floats, order: Order = 2, scale: float = 1.0) -> Floats:
    """s(R): brought to norm 1; 0 where the canonical reward is nothing beside `scale`, the size of the reward."""
    size = norm(canonical, order)
    return np.zeros_like(canonical) if size <= NOTHING * max(scale, 1e-300) else canonical / size


def between(a: Floats, b: Floats, order: Order = 2, scales: tuple[float, float] = (1.0, 1.0)) -> float:
    """½ n(s(a) − s(b)) of canonical rewards; in [0, 1]."""
    return 0.5 * norm(standardised(a, order, scales[0]) - standardised(b, order, scales[1]), order)


def starc_distance(
    world: TabularMDP,
    a: Floats,
    b: Floats,
    canonical: str = "val",
    order: Order = 2,
    policy: Floats | None = None,
) -> float:
    """The distance of two rewards `[S, A, S]` in a tabular world, exactly.

    Args:
        world: whose transitions count.
        a: a reward.
        b: another.
        canonical: "val", or "minimal".
        order: of the norm.
        policy: of "val"; None: all allowed actions as often.

    Raises:
        ValueError: the canonicalisation is unknown, or a reward has another shape.
    """
    for reward in (a, b):
        if reward.shape != world.transition.shape:
            raise ValueError(f"got a reward of shape {reward.shape}; expected {world.transition.shape}, as transitions")
    if canonical not in ("val", "minimal"):
        raise ValueError(f"got canonicalisation {canonical!r}; expected 'val' or 'minimal'")
    first, second = (
        val(world, reward, policy) if canonical == "val" else minimal(world, reward, order) for reward in (a, b)
    )
    return between(first, second, order, (size_of(world, a, order), size_of(world, b, order)))


def size_of(world: TabularMDP, reward: Floats, order: Order = 2) -> float:
    """Norm of a reward's means over next states: what rounding in its canonical form is measured against."""
    return norm(world.expected(reward)[world.mask], order)
