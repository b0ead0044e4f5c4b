"""Rewards of motions that prepare and of motions that act, by what they were for and what they did."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

AIMED_PUSH, EFFECTIVE_PUSH, AIMED_GRASP, GRASPED = 0.25, 0.5, 0.5, 1.0


def motion_rewards(grasp: ArrayLike, aimed: ArrayLike, effective: ArrayLike) -> NDArray[np.float64]:
    """1 for a grasp that has the target, ½ for one at it; ½ for a push that frees the target, ¼ for one at it; else 0.

    Source: Grasping the Invisible (its released code), where a push frees the target if it takes a tenth off the share
    of what surrounds it that is occupied; γ is 0.5 there.

    Args:
        grasp: whether it was a grasp; else a push `[...]`.
        aimed: whether it was at the target `[...]`.
        effective: whether the target was grasped, or freed `[...]`.
    """
    acts, at_it, did = (np.asarray(flags, np.bool_) for flags in (grasp, aimed, effective))
    done, tried = np.where(acts, GRASPED, EFFECTIVE_PUSH), np.where(acts, AIMED_GRASP, AIMED_PUSH)
    return np.where(did, done, np.where(at_it, tried, 0.0))
