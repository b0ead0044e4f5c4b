"""Hops: how far one frame is ahead of another, in units of what was left to be gained, or to be lost.

    h(p, q) = (Φ(q) − Φ(p)) / (1 − Φ(p))    where q is not behind p
            = (Φ(q) − Φ(p)) / Φ(p)          where it is

Applied to any estimate of Φ(p) a hop between −1 and 1 stays between 0 and 1. Progress is read from three perspectives:
hop by hop from frame to frame, where errors add up; in one hop from the start, where Φ is 0; and in one from the goal,
where it is 1.

Source: Robo-Dopamine: General Process Reward Modeling for High-Precision Robotic Manipulation. That what cannot move
(the goal, ahead) has a hop of 0 is chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Perspectives(NamedTuple):
    """Progress of each frame, `[..., T + 1]` each."""

    incremental: Floats
    forward: Floats
    backward: Floats

    @property
    def fused(self) -> Floats:
        """The mean of the three."""
        found: Floats = np.mean(self, axis=0)
        return found


def hop(before: ArrayLike, after: ArrayLike) -> Floats:
    """The hop between two frames of known progress, −1 to 1 `[...]`.

    Args:
        before: Φ of the one, 0 to 1 `[...]`.
        after: Φ of the other, 0 to 1 `[...]`.

    Raises:
        ValueError: progress beyond 0 and 1.
    """
    p, q = _progress(before), _progress(after)
    room = np.where(q >= p, 1.0 - p, p)
    return np.divide(q - p, room, out=np.zeros(room.shape), where=room > 0)


def applied(progress: ArrayLike, hops: ArrayLike) -> Floats:
    """Φ after a hop, 0 to 1 `[...]`: Φ + (1 − Φ) h ahead, Φ + Φ h back.

    Args:
        progress: Φ before it, 0 to 1 `[...]`.
        hops: −1 to 1 `[...]`.

    Raises:
        ValueError: values beyond their bounds.
    """
    phi, h = _progress(progress), np.asarray(hops, np.float64)
    if not (np.abs(h) <= 1).all():
        raise ValueError("got hops that are not between -1 and 1; expected shares of what is left")
    found: Floats = (phi + np.where(h >= 0, 1.0 - phi, phi) * h).clip(0.0, 1.0)
    return found


def perspectives(steps: ArrayLike, from_start: ArrayLike, from_goal: ArrayLike) -> Perspectives:
    """Progress of the frames of a trajectory, read in three ways.

    Args:
        steps: hops from each frame to the next `[..., T]`.
        from_start: hops from the start to each frame `[..., T + 1]`.
        from_goal: hops from the goal to each frame `[..., T + 1]`.

    Raises:
        ValueError: shapes that do not fit, or hops beyond −1 and 1.
    """
    each, ahead, behind = (np.asarray(values, np.float64) for values in (steps, from_start, from_goal))
    if ahead.shape != behind.shape or each.shape != (*ahead.shape[:-1], ahead.shape[-1] - 1):
        raise ValueError(
            f"got hops {each.shape}, {ahead.shape}, {behind.shape}; expected [..., T] and twice [..., T + 1]"
        )
    reached = [np.zeros(each.shape[:-1])]
    for t in range(each.shape[-1]):
        reached.append(applied(reached[-1], each[..., t]))
    return Perspectives(np.stack(reached, -1), applied(0.0, ahead), applied(1.0, behind))


def balanced_weights(hops: ArrayLike, gaps: ArrayLike, bins: int = 10) -> Floats:
    """Chances of drawing each pair of frames `[N]`: each bin of hops comes as often, and in it each bin of gaps.

    Of all pairs of a demonstration most are small hops over few frames; a model that saw them as they come would know
    little else.

    Args:
        hops: of pairs, −1 to 1 `[N]`.
        gaps: frames between the two `[N]`.
        bins: of equal width, for each of both; those without a pair are left out.

    Raises:
        ValueError: shapes that differ, no pair, or no bin.
    """
    h, gap = np.asarray(hops, np.float64), np.asarray(gaps, np.float64)
    if h.shape != gap.shape or h.ndim != 1 or not len(h) or bins < 1:
        raise ValueError(f"got hops {h.shape}, gaps {gap.shape} and {bins} bins; expected twice [N], and one at least")
    low, high = gap.min(), gap.max()
    cell = [_binned((h + 1) / 2, bins), _binned((gap - low) / max(high - low, 1e-12), bins)]
    pairs = np.zeros((bins, bins))
    np.add.at(pairs, tuple(cell), 1.0)
    kinds = (pairs > 0).sum(1)  # of gaps, in each bin of hops
    found: Floats = 1.0 / ((kinds > 0).sum() * kinds[cell[0]] * pairs[cell[0], cell[1]])
    return found


def _binned(share: Floats, bins: int) -> NDArray[np.int64]:
    return np.clip((share * bins).astype(np.int64), 0, bins - 1)


def _progress(values: ArrayLike) -> Floats:
    phi = np.asarray(values, np.float64)
    if not ((phi >= 0) & (phi <= 1)).all():
        raise ValueError("got progress that is not between 0 and 1; expected a share of the whole")
    return phi
