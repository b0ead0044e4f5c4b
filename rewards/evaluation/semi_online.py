"""Semi-online performance: how far a policy comes along recorded trajectories with its own words in the history.

    PG = mean(steps before the first mismatch / steps)    TSR = share without a mismatch    SOP = (PG + TSR) / 2

Accuracy of single steps, each asked with the expert's history, does not see that a policy may not be able to read what
it has written itself, nor that one wrong step is enough to fail.

Source: UI-S1, Semi-online Reinforcement Learning (Lu et al. 2025).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Performance(NamedTuple):
    """Of a policy over trajectories.

    Attributes:
        progress: PG.
        success: TSR.
    """

    progress: float
    success: float

    @property
    def score(self) -> float:
        """SOP."""
        return (self.progress + self.success) / 2


def semi_online_performance(match: ArrayLike, lengths: ArrayLike) -> Performance:
    """PG and TSR of rollouts along trajectories; what comes after a rollout's first mismatch counts for nothing.

    Args:
        match: whether each step did what the expert did `[B, T]`.
        lengths: steps of each trajectory, from 1 to T `[B]`.

    Raises:
        ValueError: shapes or lengths that do not fit, or no trajectory.
    """
    same, ends = np.asarray(match, np.bool_), np.asarray(lengths, np.int64)
    if (
        same.ndim != 2
        or not len(same)
        or ends.shape != same.shape[:1]
        or not 1 <= ends.min() <= ends.max() <= len(same[0])
    ):
        raise ValueError(f"got matches {same.shape} and lengths {ends.shape}; expected [B, T] and [B], from 1 to T")
    within = np.arange(same.shape[1]) < ends[:, None]
    before = np.logical_and.accumulate(same, axis=1) & within
    progress = before.sum(1) / ends
    return Performance(float(progress.mean()), float((progress == 1.0).mean()))
