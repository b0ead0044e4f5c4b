"""Spurious rewards: controls that know nothing of what is right, to be run beside a reward before its gain is believed.

| reward | what it pays |
|---|---|
| `random_rewards` | 1 with probability γ, whatever was written |
| `inverted` | 1 − r |
| `wrong_majority` | 1 for agreeing with the most frequent answer of the group, where that is wrong |

Where one of these lifts accuracy as well, the policy had it already: it knows the questions by heart
(`rewards.evaluation.contamination`), or learns a format. A reward that pays for the format alone is `tag_format`.

Source: Wu et al. 2025, "Reasoning or Memorization?" (arXiv 2507.10532), section 3.3, after Shao et al. 2025, "Spurious
Rewards" (arXiv 2506.10947); what becomes of groups whose most frequent answer is right is chosen here: they are NULL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def random_rewards(number: int, random: np.random.Generator, chance: float = 0.5) -> Floats:
    """1 with probability γ, else 0 `[number]`; advantages within a group are 0 in expectation.

    Raises:
        ValueError: γ outside of 0 to 1.
    """
    if not 0 <= chance <= 1:
        raise ValueError(f"got chance={chance}; expected a probability, 0 to 1")
    return (random.random(number) < chance).astype(np.float64)


def inverted(right: ArrayLike) -> Floats:
    """1 − r of rewards between 0 and 1, of any shape; NaN where NULL.

    Raises:
        ValueError: a reward outside of 0 to 1.
    """
    values = np.asarray(right, np.float64)
    if ((values < 0) | (values > 1)).any():
        raise ValueError("got a reward outside of 0 to 1; expected such as 1 − r is the opposite of")
    return 1.0 - values


def wrong_majority(answers: Sequence[Sequence[Hashable | None]], references: Sequence[Hashable]) -> Floats:
    """1 where an answer is the most frequent one of its group, where that is not the right one `[G, M]`.

    Args:
        answers: of each group, as they are compared; None: there was none, which earns 0 and has no vote.
        references: the right answer of each group.

    Returns:
        Rewards; NaN for all of a group whose most frequent answer is right, or that has none. Of several that are as
        frequent, the one that was given first counts.

    Raises:
        ValueError: groups of different size.
    """
    if len({len(group) for group in answers}) > 1:
        raise ValueError(f"got groups of {sorted({len(group) for group in answers})} answers; expected one size")
    found = np.full((len(answers), len(answers[0]) if answers else 0), np.nan)
    for row, group, reference in zip(found, answers, references, strict=True):
        votes = Counter(answer for answer in group if answer is not None).most_common(1)
        if votes and votes[0][0] != reference:
            row[:] = [float(answer == votes[0][0]) for answer in group]
    return found
