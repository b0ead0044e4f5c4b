"""Where a chunk of actions would lead, by a world model, and how far it is from what was shown: which is preferred.

    R = −‖z(s, a) − z_goal‖₁ − w ‖a − a*‖₁

No model is called here: whoever has one hands in what it foretells. The goal is the end of a demonstration, or the next
sub-goal in it.

Source: NORA-1.5, A VLA Trained using World Model- and Action-based Preference Rewards; w = 1/2 is chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def goal_distance(foretold: ArrayLike, goal: ArrayLike) -> Floats:
    """−‖z(s, a) − z_goal‖₁ of each candidate `[..., N]`, NaN where any number is.

    Args:
        foretold: latent state that the world model foretells after each candidate `[..., N, D]`.
        goal: latent state of the goal `[..., D]`.

    Raises:
        ValueError: shapes that do not fit.
    """
    ahead, wanted = np.asarray(foretold, np.float64), np.asarray(goal, np.float64)
    if ahead.ndim < 2 or wanted.shape != (*ahead.shape[:-2], ahead.shape[-1]):
        raise ValueError(f"got states {ahead.shape} and goals {wanted.shape}; expected [..., N, D] and [..., D]")
    found: Floats = -np.abs(ahead - wanted[..., None, :]).sum(-1)
    return found


def action_deviation(actions: ArrayLike, shown: ArrayLike) -> Floats:
    """−‖a − a*‖₁ of each candidate `[..., N]`, NaN where any number is.

    Args:
        actions: candidate chunks `[..., N, h, m]`.
        shown: the chunk of the demonstration `[..., h, m]`.

    Raises:
        ValueError: shapes that do not fit.
    """
    done, right = np.asarray(actions, np.float64), np.asarray(shown, np.float64)
    if done.ndim < 3 or right.shape != (*done.shape[:-3], *done.shape[-2:]):
        raise ValueError(f"got chunks {done.shape} and {right.shape}; expected [..., N, h, m] and [..., h, m]")
    found: Floats = -np.abs(done - right[..., None, :, :]).sum((-2, -1))
    return found


def chunk_reward(
    foretold: ArrayLike, goal: ArrayLike, actions: ArrayLike, shown: ArrayLike, weight: float = 0.5
) -> Floats:
    """Both together, `goal_distance + weight · action_deviation` `[..., N]`.

    Weight 0 asks for the goal alone. The larger it is, the more candidates are ordered as cloning would order them.

    Args:
        foretold: as of `goal_distance`.
        goal: as of `goal_distance`.
        actions: as of `action_deviation`.
        shown: as of `action_deviation`.
        weight: w, at least 0.

    Raises:
        ValueError: shapes that do not fit, or a weight below 0.
    """
    if weight < 0:
        raise ValueError(f"got weight {weight}; expected at least 0")
    return goal_distance(foretold, goal) + weight * action_deviation(actions, shown)


class Pairs(NamedTuple):
    """Numbers of the best and the worst candidate `[...]`, and where there are two to tell apart, bool `[...]`."""

    chosen: NDArray[np.int64]
    rejected: NDArray[np.int64]
    valid: NDArray[np.bool_]


def best_and_worst(rewards: ArrayLike) -> Pairs:
    """A preference pair of each group of candidates `[..., N]`.

    A candidate without a reward (NaN) is neither. Where fewer than two have one, or all are equal, there is no pair.

    Raises:
        ValueError: no candidates.
    """
    paid = np.asarray(rewards, np.float64)
    if paid.ndim < 1 or not paid.shape[-1]:
        raise ValueError(f"got rewards of shape {paid.shape}; expected [..., N] of at least one candidate")
    known = ~np.isnan(paid)
    chosen = np.where(known, paid, -np.inf).argmax(-1)
    rejected = np.where(known, paid, np.inf).argmin(-1)
    best, worst = (np.take_along_axis(paid, index[..., None], -1)[..., 0] for index in (chosen, rejected))
    return Pairs(chosen, rejected, best > worst)
