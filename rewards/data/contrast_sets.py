"""A positive and a negative set of samples, made of pairs: what a contrastive loss learns a reward from.

A reward of single samples orders each pair. A reward of sets knows no order of two samples; so the pairs are split at
random, and one is turned round wherever that raises the reward of the positive set, until none does:

    R(D₊ with x₋ in the place of x₊) > R(D₊)  →  swap

Source: DRAGON, Distributional Rewards Optimize Diffusion Generative Models. Passes go through the pairs in their order
until one changes nothing, or there were enough of them; chosen here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class ContrastSets(NamedTuple):
    """Which of each pair is in which set.

    Attributes:
        positive: 0 or 1, the member that is in D₊ `[P]`; the other is in D₋.
        reward: R(D₊).
        start: R(D₊) of the split that it began with.
    """

    positive: NDArray[np.int64]
    reward: float
    start: float

    def of(self, pairs: NDArray[np.generic]) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
        """D₊ and D₋ of anything that is there of both members `[P, 2, ...]`."""
        rows = np.arange(len(self.positive))
        return pairs[rows, self.positive], pairs[rows, 1 - self.positive]


def greedy_split(
    pairs: Floats, reward: Callable[[Floats], float], random: np.random.Generator, passes: int = 20
) -> ContrastSets:
    """Sets of the most reward that swaps of single pairs lead to; never less than where it began.

    Args:
        pairs: embeddings of both members `[P, 2, d]`.
        reward: R, of a set of embeddings `[P, d]`.
        random: draws the split that it begins with.
        passes: most of them; 0 leaves that split as it is.

    Raises:
        ValueError: pairs of another shape, or a reward that is not a number.
    """
    if pairs.ndim != 3 or pairs.shape[1] != 2 or not len(pairs) or passes < 0:
        raise ValueError(f"got pairs of shape {pairs.shape} and passes={passes}; expected [P, 2, d] and at least 0")
    positive = random.integers(0, 2, len(pairs))
    chosen = pairs[np.arange(len(pairs)), positive]
    start = best = float(reward(chosen))
    if np.isnan(start):
        raise ValueError("got a reward that is NaN; expected a number: leave out samples that cannot be rewarded")
    for _ in range(passes):
        before = best
        for row in range(len(pairs)):
            chosen[row] = pairs[row, 1 - positive[row]]
            found = float(reward(chosen))
            if found > best:
                best, positive[row] = found, 1 - positive[row]
            else:
                chosen[row] = pairs[row, positive[row]]
        if best == before:
            break
    return ContrastSets(positive, best, start)


def better_of_pairs(rewards: Floats) -> ContrastSets:
    """Sets by the rewards of single samples `[P, 2]`: the better one of each pair, the first of equals.

    Their reward is the mean; what they began with is the mean of all samples.

    Raises:
        ValueError: rewards of another shape, or one that is NaN.
    """
    if rewards.ndim != 2 or rewards.shape[1] != 2 or not len(rewards) or np.isnan(rewards).any():
        raise ValueError(
            f"got rewards of shape {rewards.shape}, {int(np.isnan(rewards).sum())} of them NaN; expected numbers "
            "[P, 2]: leave out pairs with a sample that cannot be rewarded"
        )
    return ContrastSets(rewards.argmax(1), float(rewards.max(1).mean()), float(rewards.mean()))
