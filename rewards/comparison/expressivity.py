"""Which orders of policies an objective can induce: a linear programme over what it sees of them.

An objective that is linear in what it sees, φ(π), induces an order of policies if there is a w with

    w · (φ(π) − φ(π')) ≥ 1  where π is to be better,      w · (φ(π) − φ(π')) = 0  where both are to be as good

For Markov rewards φ is the discounted occupancy, and w the reward; `rewards.comparison.formalisms` has others. An
objective that may be any function of φ fails only where policies that look the same to it are ranked apart.

Of finitely many policies: what is not expressible for them is not for all, what is expressible for them may not be.

Source: Subramani et al., "On the expressivity of objective-specification formalisms in reinforcement learning", ICLR
2024; the programme as in Abel et al., "On the expressivity of Markov reward", NeurIPS 2021. Ties are solved first, by
a singular value decomposition, so that a solver's tolerance cannot pass for a preference.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linprog

from rewards.comparison.tabular import Floats

EXACT = 1e-10  # relative to the greatest feature: a difference below it is rounding
MARGIN = 1e-6  # of the solver: a preference below it is none


def induced_by(features: ArrayLike, ranks: ArrayLike) -> Floats | None:
    """Weights `[F]` under which policies are in this order, each rank at least 1 above the next; None: there are none.

    Args:
        features: what is seen of each policy `[P, F]`.
        ranks: of each policy, higher is better, equal is as good `[P]`.

    Raises:
        ValueError: shapes do not fit.
        RuntimeError: the linear programme was not solved.
    """
    seen, wanted = _checked(features, ranks)
    order = np.argsort(wanted, kind="stable")
    steps = np.diff(seen[order], axis=0)  # neighbours are enough: the others follow
    strict = np.diff(wanted[order]) > 0
    scale = np.abs(seen).max(initial=0.0)
    if not strict.any():
        return np.zeros(seen.shape[1])
    if scale == 0:
        return None
    basis = np.eye(seen.shape[1])
    if not strict.all():  # only weights that make no difference where none may be
        _, sizes, rows = np.linalg.svd(steps[~strict] / scale)
        basis = rows[int((sizes > EXACT).sum()) :].T
    ahead = steps[strict] / scale @ basis
    lengths = np.linalg.norm(ahead, axis=1, keepdims=True)
    if (lengths <= EXACT).any():
        return None
    found = _widest(ahead / lengths)
    return None if found is None else basis @ found / (scale * (ahead @ found).min())


def _widest(ahead: Floats) -> Floats | None:
    """The c in [−1, 1] with the greatest least of `ahead` c, where that is above 0."""
    n, size = ahead.shape
    solved = linprog(
        np.append(np.zeros(size), -1.0),
        A_ub=np.concatenate([-ahead, np.ones((n, 1))], axis=1),
        b_ub=np.zeros(n),
        bounds=[(-1, 1)] * size + [(0, None)],
    )
    if solved.x is None:
        raise RuntimeError(f"the linear programme of an order was not solved: {solved.message}")
    return None if solved.x[-1] <= MARGIN else np.asarray(solved.x[:-1])


def is_function_of(features: ArrayLike, ranks: ArrayLike) -> bool:
    """Whether some function of what is seen induces the order: policies that look the same are as good.

    Args:
        features: what is seen of each policy `[P, F]`.
        ranks: of each policy `[P]`.

    Raises:
        ValueError: shapes do not fit.
    """
    seen, wanted = _checked(features, ranks)
    same = np.abs(seen[:, None] - seen[None]).max(-1, initial=0.0) <= EXACT * np.abs(seen).max(initial=0.0)
    return not (same & (wanted[:, None] != wanted[None])).any()


def _checked(features: ArrayLike, ranks: ArrayLike) -> tuple[Floats, Floats]:
    seen, wanted = np.asarray(features, np.float64), np.asarray(ranks, np.float64)
    if seen.ndim != 2 or wanted.shape != seen.shape[:1]:
        raise ValueError(f"got features {seen.shape} and ranks {wanted.shape}; expected [P, F] and [P]")
    if not (np.isfinite(seen).all() and np.isfinite(wanted).all()):
        raise ValueError("got a feature or rank that is not finite; expected numbers: leave such a policy out")
    return seen, wanted
