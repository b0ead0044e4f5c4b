"""What to take where every source has a quota, so that together it covers the most: greedy under a partition matroid.

Items cover elements: nodes the reverse-reachable sets that they are in, examples the skills that they teach, questions
the failures that they show. Each owner u may take at most k_u of what is offered to it. What is covered is monotone and
submodular in what is taken, so that both greedy ways have at least half of what the best choice covers:

    marginal      take the (owner, item) of the largest gain of all owners that may still take
    round_robin   owners take turns, each the item of the largest gain that is offered to it

Source: MG-Greedy and RR-Greedy of CIM, Capacity Constrained Influence Maximization in Social Networks (Zhang et al.
2023). A quota for each owner, and the bound on every choice, are chosen here.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Order = Literal["marginal", "round_robin"]


class Taken(NamedTuple):
    """What was taken, in its order.

    Attributes:
        owner: who took `[P]`.
        item: what `[P]`.
        gain: elements that it was the first to cover `[P]`.
        bound: no choice covers more elements: the least, along the way, of what is covered and the k_u largest gains of
            each owner.
    """

    owner: Ints
    item: Ints
    gain: Ints
    bound: int


def take(covers: Bools, offered: Bools, quota: ArrayLike, order: Order = "marginal") -> Taken:
    """Take greedily until no owner can take any more; of equals the first.

    Args:
        covers: which elements each item covers `[V, E]`.
        offered: which items each owner may take `[U, V]`.
        quota: k, of each owner `[U]` or one for all, at least 0.
        order: "marginal" or "round_robin".

    Raises:
        ValueError: shapes that do not fit, a negative quota, or an order that there is not.
    """
    if covers.ndim != 2 or offered.ndim != 2 or offered.shape[1] != len(covers):
        raise ValueError(f"got covers {covers.shape} and offered {offered.shape}; expected [V, E] and [U, V]")
    spare = np.broadcast_to(np.asarray(quota, np.int64), offered.shape[:1]).copy()
    if (spare < 0).any() or order not in get_args(Order):
        raise ValueError(f"got quotas {quota!r} and order {order!r}; expected at least 0, and one of {get_args(Order)}")
    free, open_, bound = offered.copy(), np.ones(covers.shape[1], np.bool_), covers.shape[1]
    taken: list[tuple[int, int, int]] = []
    turn = 0
    while True:
        gains = covers[:, open_].sum(1)
        bound = min(bound, int((~open_).sum()) + _most(np.where(offered, gains, 0), quota))
        able = free & (spare > 0)[:, None]
        if not able.any():
            break
        if order == "round_robin":
            turn = next(u % len(able) for u in range(turn, turn + len(able)) if able[u % len(able)].any())
            able &= (np.arange(len(able)) == turn)[:, None]
            turn += 1
        owner, item = np.unravel_index(np.where(able, gains, -1).argmax(), able.shape)
        taken.append((int(owner), int(item), int(gains[item])))
        free[owner, item], spare[owner] = False, spare[owner] - 1
        open_ &= ~covers[item]
    found = np.array(taken, np.int64).reshape(-1, 3)
    return Taken(found[:, 0], found[:, 1], found[:, 2], bound)


def _most(gains: Ints, quota: ArrayLike) -> int:
    """The sum of the k_u largest gains `[U, V]` of each owner."""
    rank = np.arange(gains.shape[1])
    largest = -np.sort(-gains, 1)
    return int(np.where(rank < np.broadcast_to(np.asarray(quota)[..., None], (len(gains), 1)), largest, 0).sum())
