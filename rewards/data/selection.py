"""Which tasks are worth learning from: those that the first policy sometimes solves, told by the spread of its rewards.

Each task is answered k times before training. Where all answers are worth the same, right or wrong, a group has no
advantage and teaches nothing; the more its rewards differ, the more it does. Of rewards 0 and 1 the variance is
p (1 − p), largest where half of the answers are right.

Source: Temporal-R1, Reinforcement Learning Tuning for VideoLLMs: Reward Design and Data Efficiency (Li et al. 2025):
variance-aware data selection. That shares are of all tasks, and ties are taken in order, is chosen here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rewards.columns import Column
from rewards.groups import has_signal, known


def most_varied(rewards: Column, share: float = 0.2) -> NDArray[np.intp]:
    """Numbers of the tasks whose rewards vary most, the most varied first.

    A task whose known rewards are equal, or of which fewer than two are known, is never among them: there may be fewer
    than `share` of all.

    Args:
        rewards: of k answers to each task `[groups, members]`.
        share: of all tasks, above 0, at most 1.

    Raises:
        ValueError: a share out of its range, or rewards that are not `[groups, members]`.
    """
    if not 0 < share <= 1:
        raise ValueError(f"got share={share}; expected above 0 and at most 1")
    groups = known(rewards)
    # Population variance: it must not favour tasks of which less is known.
    variance = (groups.apart**2).sum(1) / np.maximum(groups.count[:, 0], 1)
    order = np.argsort(-variance, kind="stable")
    return order[has_signal(rewards)[order]][: max(round(share * len(order)), 1)]
