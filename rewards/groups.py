"""Groups of answers to the same prompt, `[groups, members]`, where some rewards are NULL.

A judge that failed said nothing. Counting it as a zero tells the policy that the answer was bad; masking only its loss
still leaves the zero in the mean that all the others are compared with. Here who has no reward is in neither. Groups of
different size are filled up with NULLs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rewards.columns import Column


@dataclass(frozen=True)
class Known:
    """What is known of groups.

    Attributes:
        values: rewards, 0 where NULL, float64 `[groups, members]`; use them together with `valid`.
        valid: where a reward is known, `[groups, members]`.
        count: known rewards of each group, `[groups, 1]`.
        mean: of the known rewards; 0 where there is none, `[groups, 1]`.
        apart: reward less mean; exactly 0 in a group of equals, and where NULL, `[groups, members]`.
        comparable: where a reward is known and another of its group too, `[groups, members]`.
    """

    values: NDArray[np.float64]
    valid: NDArray[np.bool_]
    count: NDArray[np.int64]
    mean: NDArray[np.float64]
    apart: NDArray[np.float64]
    comparable: NDArray[np.bool_]


def known(rewards: Column) -> Known:
    """What is known of groups.

    Raises:
        ValueError: the rewards are not `[groups, members]`.
    """
    if rewards.values.ndim != 2:
        raise ValueError(f"got rewards of shape {rewards.values.shape}; expected [groups, members]")
    valid = rewards.valid
    count = valid.sum(axis=1, keepdims=True)
    values = np.where(valid, rewards.values, 0.0).astype(np.float64)
    mean = values.sum(axis=1, keepdims=True) / np.maximum(count, 1)
    # Equal rewards differ from their own mean by rounding, which a division by their deviation would blow up.
    apart = np.where(valid & _differ(values, valid), values - mean, 0.0)
    return Known(values, valid, count, mean, apart, valid & (count >= 2))


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
    groups = known(rewards)
    apart = groups.apart
    if scale:
        deviation = np.sqrt((apart**2).sum(axis=1, keepdims=True) / np.maximum(groups.count - 1, 1))
        apart = apart / (deviation + EPSILON)
    return Column(apart.astype(np.float32), groups.comparable)


def has_signal(rewards: Column) -> NDArray[np.bool_]:
    """Which groups have something to learn from: two known rewards that differ, `[groups]`.

    It is the condition of DAPO's dynamic sampling (Yu et al. 2025, equation 11), which generates until it has enough of
    them.
    """
    groups = known(rewards)
    return np.asarray(_differ(groups.values, groups.valid)[:, 0])


def best_of(rewards: Column, count: int = 1) -> NDArray[np.bool_]:
    """Which members are the best `count` of their group: what rejection sampling learns from, `[groups, members]`.

    Of equals the first is taken. A NULL is never among the best; a group with fewer known rewards gives them all.
    """
    groups = known(rewards)
    order = np.argsort(np.where(groups.valid, -groups.values, np.inf), axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    return np.asarray(groups.valid & (rank < count))


@dataclass(frozen=True)
class Counts:
    """How many groups and members are learnt from, and how many are not.

    Attributes:
        groups: all of them.
        members: all of them, also those that only fill up a group.
        null_members: members without a reward.
        lonely_members: members with a reward in groups without a second one: nothing to compare with.
        null_groups: groups with fewer than two known rewards.
        equal_groups: groups of equals: known, and nothing to learn from.
    """

    groups: int
    members: int
    null_members: int
    lonely_members: int
    null_groups: int
    equal_groups: int


def counts(rewards: Column) -> Counts:
    """How many groups and members are learnt from, and how many are not."""
    groups = known(rewards)
    enough = groups.count[:, 0] >= 2
    return Counts(
        groups=len(groups.values),
        members=groups.values.size,
        null_members=int((~groups.valid).sum()),
        lonely_members=int((groups.valid & ~groups.comparable).sum()),
        null_groups=int((~enough).sum()),
        equal_groups=int((enough & ~has_signal(rewards)).sum()),
    )


def _differ(values: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which groups have known rewards that differ, `[groups, 1]`."""
    highest = np.where(valid, values, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    lowest = np.where(valid, values, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    return np.asarray(highest > lowest)
