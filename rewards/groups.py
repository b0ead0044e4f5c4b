"""Advantages inside groups of answers to the same prompt, where some rewards are NULL.

A judge that failed said nothing. Counting it as a zero tells the policy that the answer was bad; masking only its loss
still leaves the zero in the mean that all the others are compared with. Here who has no reward is in neither.
"""

from __future__ import annotations

import numpy as np

from rewards.columns import Column

EPSILON = 1e-6


def group_advantages(rewards: Column, scale: bool = True) -> Column:
    """How much better than the others of its group each member is.

    A_i = (r_i - mean(r)) / (std(r) + ε), over the members whose reward is known (GRPO: Shao et al. 2024, section 4.1).

    Args:
        rewards: `[groups, members]`.
        scale: whether to divide by the standard deviation, with n - 1 degrees of freedom; without it the advantage
            is that of Dr. GRPO (Liu et al. 2025).

    Returns:
        Advantages `[groups, members]`; NULL where the reward is, and in groups with fewer than two known rewards, where
        there is nothing to compare with. Members of a group of equals have exactly 0.

    Raises:
        ValueError: the rewards are not `[groups, members]`.
    """
    if rewards.values.ndim != 2:
        raise ValueError(f"got rewards of shape {rewards.values.shape}; expected [groups, members]")
    valid = rewards.valid
    known = valid.sum(axis=1, keepdims=True)
    values = np.where(valid, rewards.values, 0.0).astype(np.float64)
    mean = values.sum(axis=1, keepdims=True) / np.maximum(known, 1)
    apart = np.where(valid, values - mean, 0.0)
    # Equal rewards differ from their own mean by rounding, which the division would blow up.
    highest = np.where(valid, values, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    lowest = np.where(valid, values, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    apart = np.where(highest > lowest, apart, 0.0)
    if scale:
        deviation = np.sqrt((apart**2).sum(axis=1, keepdims=True) / np.maximum(known - 1, 1))
        apart = apart / (deviation + EPSILON)
    return Column(apart.astype(np.float32), valid & (known >= 2))
