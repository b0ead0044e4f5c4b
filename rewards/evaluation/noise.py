"""Reward noise: rewards of whole questions turned round, and what of a gain is left with them.

    r̃ = 1 − r for all answers to a question, with probability p; r otherwise
    E[r̃] = (1 − 2p) r + p

A turned question has the opposite advantages, Ã = −A, whether or not they are divided by the spread of the group. So
advantages shrink by 1 − 2p on average, and are nothing at p = ½. Turning round each answer by itself would only make
rewards sparser: within a group such errors are averaged out.

Source: Lv et al. 2025, "The Climb Carves Wisdom Deeper Than the Summit: On the Noisy Rewards in Learning to Reason"
(arXiv 2505.22653), section 2.1; the share of the gain that is left is chosen here, for its curves of accuracy over p.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.sources.spurious import inverted

Floats = NDArray[np.float64]


def flip_by_question(rewards: ArrayLike, question: ArrayLike, rate: float, random: np.random.Generator) -> Floats:
    """Rewards of which those of some questions are turned round.

    Args:
        rewards: between 0 and 1, NaN where NULL `[B]`.
        question: number of each answer's question `[B]`.
        rate: p, of each question by itself.
        random: draws once a question, in the order of their numbers.

    Returns:
        Rewards `[B]`; NULL stays NULL.

    Raises:
        ValueError: shapes that differ, rewards outside of 0 to 1, or a rate outside of 0 to 1.
    """
    values, of = np.asarray(rewards, np.float64), np.asarray(question)
    if values.ndim != 1 or values.shape != of.shape:
        raise ValueError(f"got rewards {values.shape} and questions {of.shape}; expected both [B]")
    numbers, place = np.unique(of, return_inverse=True)
    turned = random.random(len(numbers)) < _probability(rate)
    return np.where(turned[place], inverted(values), values)


def expected_flip(rewards: ArrayLike, rate: float) -> Floats:
    """What rewards are on average under flips, (1 − 2p) r + p; of any shape, NaN where NULL.

    Raises:
        ValueError: rewards or a rate outside of 0 to 1.
    """
    found: Floats = (1 - _probability(rate)) * np.asarray(rewards, np.float64) + rate * inverted(rewards)
    return found


def kept_gain(before: float, clean: float, noisy: float) -> float | None:
    """Share of what clean rewards gain that noisy ones gain too; None where clean ones gain nothing.

    Args:
        before: accuracy before training.
        clean: after training with rewards as they are.
        noisy: after as much training with noise.
    """
    return (noisy - before) / (clean - before) if clean > before else None


def _probability(rate: float) -> float:
    if not 0 <= rate <= 1:
        raise ValueError(f"got rate={rate}; expected a probability, 0 to 1")
    return rate
