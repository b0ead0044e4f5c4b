"""Advantages for the best of k answers: pass@k and max@k, instead of the mean answer.

A U-statistic over subsets of a group, as in PKPO (Walder and Karkhanis 2025). For a policy that is asked k times and
judged by its best answer, an answer is worth what it adds to the subsets that it is in:

    A_i = mean of max(S) over subsets S of size k with i  -  mean of max(S) over those without i

The second term does not depend on answer i, so it is a baseline. With k = 1 it is RLOO.
"""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import NDArray

from rewards.columns import Column
from rewards.groups import known


def max_at_k(rewards: Column, k: int = 1) -> Column:
    """Advantages of answers that are judged by the best of k.

    Args:
        rewards: `[groups, members]`.
        k: answers that are given, at least 1; a group needs k + 1 known rewards.

    Returns:
        Advantages `[groups, members]`; NULL where the reward is, and in groups with k or fewer known rewards.

    Raises:
        ValueError: k is below 1.
    """
    if k < 1:
        raise ValueError(f"got k={k}; expected 1 or more")
    groups = known(rewards)
    enough = groups.valid & (groups.count > k)
    advantages = np.zeros_like(groups.values)
    for group in np.flatnonzero(enough.any(axis=1)):
        members = groups.valid[group]
        advantages[group, members] = _of_group(groups.values[group, members], k)
    return Column(advantages.astype(np.float32), enough)


def _of_group(rewards: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Advantages of one group `[n]`, n > k."""
    n = len(rewards)
    order = np.argsort(rewards, kind="stable")
    ordered = rewards[order]
    # The j-th smallest (from 0) is the best of so many subsets of k that have it, …
    best_with = np.array([comb(j, k - 1) for j in range(n)], np.float64)
    # … and of so many that have it and one given smaller member.
    best_with_other = np.array([comb(j - 1, k - 2) if j >= 1 and k >= 2 else 0 for j in range(n)], np.float64)
    total = float((best_with * ordered).sum())
    above = np.concatenate([np.cumsum((best_with_other * ordered)[::-1])[::-1][1:], [0.0]])
    with_i = best_with * ordered + above
    without_i = total - with_i
    advantages = np.empty(n)
    advantages[order] = with_i / comb(n - 1, k - 1) - without_i / comb(n - 1, k)
    if ordered[0] == ordered[-1]:
        advantages[:] = 0.0
    return advantages
