"""Policy invariance: whether what is best stays best where another reward is learnt from than the one that is meant.

    kept = share of states s with  argmax_a Q'(s, a) ⊆ argmax_a Q(s, a)

Q are action values of what is meant, Q' of what is learnt from; both may be exact, or a table that was learnt. A state
counts only where every action that Q' finds best is best by Q, too: a learner may break the tie either way. Where Q' is
of r + γ Φ(s') − Φ(s), with Φ = 0 at the end, Q'(s, a) = Q(s, a) − Φ(s) and everything is kept, whatever Φ is.

Source: Ng, Harada and Russell (1999), "Policy invariance under reward transformations", which says when; the share is
chosen here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def choices_kept(
    meant: ArrayLike, followed: ArrayLike, counted: NDArray[np.bool_] | None = None, tie: float = 1e-6
) -> float:
    """Share of states in which whoever follows one reward does what is best by another, 0 to 1.

    Args:
        meant: Q of the reward that is meant `[S, A]`.
        followed: Q' of the one that is learnt from `[S, A]`.
        counted: states that count `[S]`, such as those that do not end an episode; None: all.
        tie: actions whose values are no further apart are as good.

    Raises:
        ValueError: shapes that differ, values that are not known, or no state that counts.
    """
    one, other = np.asarray(meant, np.float64), np.asarray(followed, np.float64)
    if one.ndim != 2 or one.shape != other.shape or not np.isfinite(one + other).all():
        raise ValueError(f"got values {one.shape} and {other.shape}; expected the same [S, A], all of them known")
    counts = np.ones(len(one), np.bool_) if counted is None else np.asarray(counted)
    if counts.shape != one.shape[:1] or counts.dtype != np.bool_ or not counts.any():
        raise ValueError(f"got counted {counts.shape} of {counts.dtype}; expected booleans [{len(one)}], one at least")
    best, chosen = (values >= values.max(1, keepdims=True) - tie for values in (one, other))
    return float((best | ~chosen).all(1)[counts].mean())
