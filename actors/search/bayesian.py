"""Bayesian search for a target that is not seen: where it may be, after looking in vain, and where to look next.

    p(i | tries) ∝ p(i) Π_t (1 − d_t(i))          look at argmax_i Q(i) p(i | tries)

d_t(i) is the chance that try t would have shown the target, had it been at i; the prior is what is known of the place
(targets hide in clutter), Q what a learnt critic makes of acting there. Of one place that was tried with d it is
p (1 − d) / (1 − d p), and all others gain in proportion.

Source: Grasping the Invisible (Yang, Liang and Choi 2020), whose released code multiplies Q and a heuristic by
1 − 0.25 times a Gaussian around each of the last 3 pushes. That d is a chance, and is known, is chosen here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def posterior(prior: ArrayLike, detection: ArrayLike, memory: int | None = None) -> Floats:
    """Where the target is, after tries that did not show it `[N]`.

    Args:
        prior: of each place, not below 0, not all 0 `[N]`.
        detection: d of each try at each place, the last try last `[T, N]`; of a try at one place, 0 everywhere else.
        memory: tries that are remembered; None: all. Forgotten ones count as not made.

    Raises:
        ValueError: shapes that do not fit, a prior that is none, chances outside [0, 1], a memory below 1, or a target
            that can be nowhere.
    """
    weight, shown = np.asarray(prior, np.float64), np.asarray(detection, np.float64)
    if weight.ndim != 1 or shown.ndim != 2 or shown.shape[1] != len(weight):
        raise ValueError(f"got a prior of {weight.shape} and detection of {shown.shape}; expected [N] and [T, N]")
    if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
        raise ValueError(f"got the prior {weight.tolist()}; expected finite weights of at least 0, one of them above")
    if not ((shown >= 0) & (shown <= 1)).all() or (memory is not None and memory < 1):
        raise ValueError(f"got memory={memory} and detection {shown.tolist()}; expected at least 1, and chances")
    left = weight / weight.sum() * np.prod(1 - shown[-(memory or len(shown)) :], axis=0)
    if not left.any():
        raise ValueError("got tries that leave no place for the target; expected a detection below 1 where it may be")
    found: Floats = left / left.sum()
    return found


def where_to_look(values: ArrayLike, belief: ArrayLike) -> int:
    """argmax_i Q(i) p(i), the first of equals.

    Args:
        values: Q of acting at each place, not below 0 `[N]`: a negative one would make unlikely places attractive.
        belief: p of each place `[N]`.

    Raises:
        ValueError: shapes that differ, or a value below 0.
    """
    worth, chance = np.asarray(values, np.float64), np.asarray(belief, np.float64)
    if worth.shape != chance.shape or worth.ndim != 1 or not (worth >= 0).all():
        raise ValueError(
            f"got values {worth.tolist()} for a belief of shape {chance.shape}; expected [N] of both, none below 0"
        )
    return int((worth * chance).argmax())
