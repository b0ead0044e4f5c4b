"""Agent-RLVR: what an agent failed at it tries once more with guidance, and pairs are made of what then came right.

A verifier says which attempts at a task succeeded. For each that failed somebody who knows more (the plan, where to
look, what went wrong) writes guidance, and the agent tries again with it in its prompt. All attempts at a task, guided
or not, are one pool: each success may be paired with each failure, for a preference loss such as
`learners.language.preferences.dpo`. The guidance is taken out of the prompt before anything is learnt, so that the
policy becomes able to do alone what it did with help. The same pool, with its labels, teaches a reward model.

Source: Agent-RLVR, Training Software Engineering Agents via Guidance and Environment Rewards (Da et al. 2025). That
guidance is taken out, and that pairs are drawn at random without repetition, is chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Pool(NamedTuple):
    """Attempts at each task: those made alone, then those made with guidance.

    Attributes:
        right: 1 where an attempt succeeded, 0 where it failed, NaN where there is none or it is not known `[P, N]`.
        guided: which had guidance, bool `[P, N]`.
    """

    right: Floats
    guided: NDArray[np.bool_]

    @property
    def solved(self) -> NDArray[np.bool_]:
        """Tasks with a success `[P]`."""
        found: NDArray[np.bool_] = (self.right == 1).any(1)
        return found


def to_retry(right: ArrayLike) -> NDArray[np.bool_]:
    """Which attempts are made again with guidance: those known to have failed, of the same shape.

    Args:
        right: 1 where an attempt succeeded, 0 where it failed, NaN where it is not known `[P, G]`.
    """
    found: NDArray[np.bool_] = np.asarray(right, np.float64) == 0
    return found


def pooled(right: ArrayLike, retried: ArrayLike) -> Pool:
    """First attempts and guided ones, side by side.

    Args:
        right: of the first attempts `[P, G]`.
        retried: of the guided ones `[P, H]`; NaN where there was none.

    Raises:
        ValueError: numbers of tasks that differ.
    """
    first, then = np.asarray(right, np.float64), np.asarray(retried, np.float64)
    if first.ndim != 2 or then.ndim != 2 or len(first) != len(then):
        raise ValueError(f"got attempts of shapes {first.shape} and {then.shape}; expected [P, G] and [P, H]")
    together = np.concatenate([first, then], 1)
    return Pool(together, np.broadcast_to(np.arange(together.shape[1]) >= first.shape[1], together.shape))


def outcome_pairs(right: ArrayLike, most: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Pairs of a success and a failure at the same task `[K, 3]`: task, success, failure; in the order of tasks.

    Args:
        right: of all attempts `[P, N]`; those that are NaN are in no pair.
        most: pairs of one task at most; of more they are drawn at random.
        random: draws them.

    Raises:
        ValueError: attempts of another shape, or a `most` below 1.
    """
    known = np.asarray(right, np.float64)
    if known.ndim != 2 or most < 1:
        raise ValueError(f"got attempts of shape {known.shape} and most={most}; expected [P, N], and at least 1")
    every = np.argwhere((known == 1)[:, :, None] & (known == 0)[:, None, :])
    drawn = every[random.permutation(len(every))]
    drawn = drawn[np.argsort(drawn[:, 0], kind="stable")]
    first = np.searchsorted(drawn[:, 0], drawn[:, 0])  # where the pairs of the same task begin
    found: NDArray[np.int64] = drawn[np.arange(len(drawn)) - first < most]
    return found
