"""Progress along a route, and nothing else: a reward without terms that can be earned by standing still."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def route_completion(
    position: ArrayLike, penalties: ArrayLike, terminal: ArrayLike | float = 0.0, start: float = 0.0
) -> Floats:
    """r_t = RC_t · Π_i p_t^i − T_t, RC_t the per cent of the route that step t completed for the first time.

    A whole route sums to 100. What was completed once is never paid again, so driving to and fro earns nothing; a step
    with a penalty of 0 forfeits its progress.

    Source: "CaRL: Learning Scalable Planning Policies with Simple Rewards".

    Args:
        position: share of the route that lies behind after each step, between 0 and 1 `[..., T]`.
        penalties: p, 1 where no rule was broken and less where one was, between 0 and 1 `[..., T, P]`.
        terminal: T, charged where a hard infraction ends the episode `[..., T]`; not negative.
        start: share of the route that lay behind before the first step.

    Returns:
        `[..., T]`.

    Raises:
        ValueError: values outside of their range (NaN included), or shapes that do not fit.
    """
    along, factors = np.asarray(position, np.float64), np.asarray(penalties, np.float64)
    charge = np.broadcast_to(np.asarray(terminal, np.float64), along.shape)
    for name, values in (("positions", along), ("penalties", factors), ("the start", np.asarray(start))):
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"got {name} outside of 0 to 1; expected shares")
    if factors.shape[:-1] != along.shape or not (charge >= 0).all():
        raise ValueError(
            f"got penalties of shape {factors.shape} for positions of {along.shape}, and terminal penalties from "
            f"{charge.min(initial=0.0):g}; expected [..., T, P] for [..., T], and none below 0"
        )
    furthest = np.maximum(np.maximum.accumulate(along, axis=-1), start)
    completed = np.diff(furthest, axis=-1, prepend=start)
    earned: Floats = 100 * completed * factors.prod(axis=-1) - charge
    return earned
