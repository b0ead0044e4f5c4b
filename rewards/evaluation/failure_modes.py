"""Failure modes of a reward model: its scores of answers that were made to fool it, and the pairs they are made for.

For a pair of a chosen and a rejected answer two more are written, each by a model of its own kind of answer: a good one
that the reward model is to like least, and a bad one that it is to like most. They are of their kind by construction,
so each is a failure where its score says otherwise:

    low   r(good) < r(rejected)         high   r(bad) > r(chosen)

Good ones as chosen and bad ones as rejected are then added to the pairs that the reward model is taught with. They are
made for the pairs that pull most at it: those with the largest |∂L/∂(r⁺ − r⁻)| = σ(r⁻ − r⁺) of the Bradley-Terry loss.

Source: REFORM, Reward-Guided Adversarial Failure Mode Discovery (Pathmanathan and Huang 2025), whose decoding is
`actors.search.guided_decoding`. How influence is measured, a share of 5 %, and what a failure is compared with are
chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.evaluation.accuracy import Rate

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Failures(NamedTuple):
    """Which answers fool the reward model, and which are known; `[P]` each.

    Attributes:
        low: good ones that score below the rejected answer of their pair.
        high: bad ones that score above the chosen answer.
        low_known: good ones of which that can be said.
        high_known: bad ones of which it can.
    """

    low: Mask
    high: Mask
    low_known: Mask
    high_known: Mask

    @property
    def success(self) -> Rate:
        """Share of all answers that fool it."""
        return Rate.of(int(self.low.sum() + self.high.sum()), int(self.low_known.sum() + self.high_known.sum()))


def most_influential(chosen: ArrayLike, rejected: ArrayLike, share: float = 0.05) -> Ints:
    """Numbers of the pairs that pull most at a reward model, the strongest first; of equals the first.

    Args:
        chosen: scores of the chosen answers `[P]`; NaN is NULL, and that pair is not among them.
        rejected: of the rejected ones `[P]`.
        share: of the pairs that are known, above 0 and at most 1; at least one pair.

    Raises:
        ValueError: shapes that differ, a share out of its range, or no pair that is known.
    """
    above, below = _scores(chosen, rejected)
    apart = above - below
    known = int((~np.isnan(apart)).sum())
    if not 0 < share <= 1 or not known:
        raise ValueError(f"got share={share} of {known} known pairs; expected above 0 and at most 1, and some pairs")
    # σ falls with the margin: the smallest margins pull most, and NaN stands last.
    return np.argsort(apart, kind="stable")[: max(round(share * known), 1)]


def failures(chosen: ArrayLike, rejected: ArrayLike, good: ArrayLike, bad: ArrayLike) -> Failures:
    """Which of two more answers to each pair fool a reward model.

    Args:
        chosen: scores of the pairs' chosen answers `[P]`; NaN is NULL.
        rejected: of the rejected ones `[P]`.
        good: of answers of the chosen ones' kind `[P]`.
        bad: of answers of the rejected ones' kind `[P]`.

    Raises:
        ValueError: shapes that differ.
    """
    above, below = _scores(chosen, rejected)
    sought, shunned = _scores(good, bad)
    if above.shape != sought.shape:
        raise ValueError(f"got {len(above)} pairs and {len(sought)} answers; expected as many good and bad ones")
    return Failures(sought < below, shunned > above, ~np.isnan(sought - below), ~np.isnan(shunned - above))


def _scores(one: ArrayLike, other: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"got scores of shapes {a.shape} and {b.shape}; expected [P] for both")
    return a, b
