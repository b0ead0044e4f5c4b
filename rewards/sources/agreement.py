"""Agreement as a reward where nothing is known to be right: what most others have answered."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NONE = -1
"""No answer could be read."""


def majority(answers: ArrayLike) -> Ints:
    """The most frequent answer of each group; of equals, the one that was given first.

    Args:
        answers: as numbers, `NONE` where there is none `[groups, members]`.

    Returns:
        `[groups]`; `NONE` where nobody answered.

    Raises:
        ValueError: not `[groups, members]` with at least one member.
    """
    given = np.asarray(answers, np.int64)
    if given.ndim != 2 or not given.shape[1]:
        raise ValueError(f"got answers of shape {given.shape}; expected [groups, members], at least one member")
    there = given != NONE
    votes = ((given[:, :, None] == given[:, None, :]) & there[:, :, None]).sum(axis=2)
    found: Ints = given[np.arange(len(given)), votes.argmax(axis=1)]
    return np.where(there.any(axis=1), found, NONE)


def majority_reward(answers: ArrayLike, voters: ArrayLike | None = None) -> Floats:
    """1 for the answer that most voters gave, else 0; 0 for all where no voter answered.

    Where the voters are the answers of a rewritten question, a policy cannot agree with itself by what the surface of
    one question suggests. Its known failure stays: who always answers the same earns 1.

    Source: "Co-Reward: Self-supervised Reinforcement Learning for LLM Reasoning via Contrastive Agreement"; with a
    group as its own voters it is the majority vote of TTRL.

    Args:
        answers: as numbers, `NONE` where there is none `[groups, members]`.
        voters: answers to the same questions in other words `[groups, others]`; None: the group itself.

    Returns:
        `[groups, members]`.

    Raises:
        ValueError: shapes that do not fit.
    """
    given = np.asarray(answers, np.int64)
    chosen = majority(given if voters is None else voters)
    if given.ndim != 2 or len(chosen) != len(given):
        raise ValueError(f"got answers of shape {given.shape} for {len(chosen)} groups of voters; expected as many")
    agrees: Floats = ((given == chosen[:, None]) & (given != NONE)).astype(np.float64)
    return agrees


def shuffled_agreement(
    first: ArrayLike, second: ArrayLike, answers: ArrayLike, partial: float = 0.5, lucky: float = 0.25
) -> NDArray[np.float64]:
    """1 where an answer is right before and after its options were shuffled, less where only one of both is.

    The second answer is decoded after the same reasoning, with the options in another order, and mapped back: reasoning
    that does not lead to the answer, or an answer by place, does not survive it.

    | first | second | reward    |
    |-------|--------|-----------|
    | right | right  | 1         |
    | right | wrong  | `partial` |
    | wrong | right  | `lucky`   |
    | wrong | wrong  | 0         |

    Source: ACRE, Answer-Consistent Chain-of-Thought Reinforcement Learning; the values between 0 and 1 are chosen here.

    Args:
        first: the answer by content `[N]`, negative where there is none to be read.
        second: the same after shuffling `[N]`.
        answers: the right one `[N]`.
        partial: for the first alone.
        lucky: for the second alone.

    Returns:
        `[N]`.

    Raises:
        ValueError: shapes that differ, or values that are not in order from 0 to 1.
    """
    one, other, truth = (np.asarray(values, np.int64) for values in (first, second, answers))
    if not one.shape == other.shape == truth.shape:
        raise ValueError(f"got answers of shapes {one.shape}, {other.shape} and {truth.shape}; expected the same")
    if not 0 <= lucky <= partial <= 1:
        raise ValueError(f"got partial={partial} and lucky={lucky}; expected 0 ≤ lucky ≤ partial ≤ 1")
    before, after = (one == truth) & (truth >= 0), (other == truth) & (truth >= 0)
    return np.select([before & after, before, after], [1.0, partial, lucky], 0.0)
