"""What an inverse dynamics model reads out of a generated rollout: the actions that were asked for, or ones at all fit.

The model is trained on real transitions and frozen; it says which action leads from one state to the next. A world
model whose rollouts it reads the right actions out of follows them; one whose rollouts it reads jerky or impossible
actions out of draws what no body can do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def action_consistency(decoded: ArrayLike, actions: ArrayLike, scale: float | None = None) -> Floats:
    """How far the actions read out of a rollout are those it was made from: their mean agreement, 0 to 1 `[...]`.

    Of choices, the share that is the same; of real vectors, mean exp(−‖â − a‖² / scale).

    Source: RLIR, Reinforcement Learning with Inverse Rewards for World Model Post-training; the form for real actions
    is chosen here.

    Args:
        decoded: what the inverse dynamics model reads `[..., n]` of choices, `[..., n, D]` of vectors.
        actions: what the rollout was made from, the same.
        scale: squared distance at which agreement falls to 1/e; None: choices.

    Raises:
        ValueError: shapes that differ, no step, or a scale that is not above 0.
    """
    read, asked = np.asarray(decoded), np.asarray(actions)
    steps = -1 if scale is None else -2
    if read.shape != asked.shape or read.ndim < -steps or read.shape[steps] == 0:
        raise ValueError(
            f"got actions of shape {read.shape} for {asked.shape}; expected the same, and one step at least"
        )
    if scale is None:
        same: Floats = (read == asked).mean(-1)
        return same
    if not scale > 0:
        raise ValueError(f"got scale {scale}; expected more than 0")
    apart = ((read.astype(np.float64) - asked) ** 2).sum(-1)
    near: Floats = np.exp(-apart / scale).mean(-1)
    return near


def executability(
    decoded: ArrayLike, limit: ArrayLike, weights: tuple[float, float, float] = (1.0, 1.0, 1.0), bound: float = 1.0
) -> Floats:
    """−Σ_k w_k mean‖Δᵏ a‖² − w_b mean Σ max(0, |a| − limit) `[...]`, 0 where a body can do it with ease.

    Differences of first, second and third order are velocity, acceleration and jerk of commands. No action is asked
    for, so it says something of broken rollouts too: what is wrong in them is read as jerky or impossible commands.

    Source: EVA, Aligning Video World Models with Executable Robot Actions via Inverse Dynamics Rewards; the weights are
    chosen here. Commands of fewer steps than an order has differences count as still in that order.

    Args:
        decoded: commands that the inverse dynamics model reads `[..., n, D]`.
        limit: greatest size of each command, a number or `[D]`.
        weights: of the three orders.
        bound: weight of what is beyond the limit.

    Raises:
        ValueError: no step, or weights below 0, or limits that are not above 0.
    """
    read, most = np.asarray(decoded, np.float64), np.asarray(limit, np.float64)
    if read.ndim < 2 or not read.shape[-2]:
        raise ValueError(f"got commands of shape {read.shape}; expected [..., n, D], and one step at least")
    if min(*weights, bound) < 0 or not (most > 0).all():
        raise ValueError(f"got weights {weights}, {bound} and limits {most}; expected 0 or more, and limits above 0")
    found: Floats = -bound * np.maximum(np.abs(read) - most, 0.0).sum(-1).mean(-1)
    change = read
    for weight in weights:
        change = np.diff(change, axis=-2)
        if change.shape[-2] == 0:
            break
        found = found - weight * (change**2).sum(-1).mean(-1)
    return found
