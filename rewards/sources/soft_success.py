"""Success that knows how near: full at the goal, less towards the edge of what counts as having arrived.

    r = c · 1[stopped, d < d_s] · (1 − d / d_s)

Nothing of the way is paid, and no expert's way is needed: only where the agent itself says that it has arrived.

Source: ActiveVLN (Zhang et al. 2025), where c is 15 and d_s 3 m in the released code; its scripts add a reward for
likeness to the expert's way, which the paper does without.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rewards.columns import Column


def soft_success(distance: Column, stopped: ArrayLike, radius: float, scale: float = 1.0) -> Column:
    """What each episode earns, r; NULL where it stopped and the distance is not known.

    Args:
        distance: d, to the goal at the end `[...]`.
        stopped: whether the agent ended the episode, bool `[...]`; who was cut earns 0, wherever he is.
        radius: d_s.
        scale: c, what arriving exactly is worth.

    Raises:
        ValueError: shapes that differ, a distance below 0, or a radius that is not above 0.
    """
    by_itself = np.asarray(stopped, np.bool_)
    near = np.where(distance.valid, distance.values, 0.0)
    if by_itself.shape != near.shape or (near < 0).any() or not radius > 0:
        raise ValueError(
            f"got distances of shape {near.shape} from {near.min(initial=np.inf):g}, stopped of {by_itself.shape} and "
            f"radius={radius}; expected equal shapes, distances of at least 0, and a radius above 0"
        )
    worth = scale * np.clip(1 - near / radius, 0.0, None) * by_itself
    return Column(worth.astype(np.float32), distance.valid | ~by_itself)
