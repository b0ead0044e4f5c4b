"""How long is it, and what does that cost?

Lengths are counted in tokens by whoever generated the text (`tokens`), or in words here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.functions import reward


@reward(subject="episode")
def overlong_punishment(tokens: int, longest: int, buffer: int) -> float:
    """0 while there is room, falling to -1 over a buffer at the end, -1 beyond.

    Source: Yu et al., "DAPO", 2025, arXiv 2503.14476, equation 13, with `longest` as L_max and `buffer` as L_cache.

    Args:
        tokens: length of the completion.
        longest: the length above which the punishment is full.
        buffer: over how many tokens it grows.

    Raises:
        ValueError: the lengths make no sense.
    """
    if not 0 < buffer <= longest or tokens < 0:
        raise ValueError(
            f"got tokens={tokens}, longest={longest}, buffer={buffer}; expected 0 < buffer <= longest, tokens >= 0"
        )
    return float(np.clip((longest - buffer - tokens) / buffer, -1.0, 0.0))


@reward(subject="episode")
def words_within(completion: str, at_least: int = 0, at_most: int | None = None) -> float:
    """1 if the number of words is within bounds, else 0.

    Raises:
        ValueError: no number is within them.
    """
    if at_least < 0 or (at_most is not None and at_most < at_least):
        raise ValueError(f"got at_least={at_least}, at_most={at_most}; expected 0 <= at_least <= at_most")
    words = len(completion.split())
    return float(words >= at_least and (at_most is None or words <= at_most))


def correct_and_short(
    correct: ArrayLike, lengths: ArrayLike, share: float = 0.2, weight: float = 0.2
) -> NDArray[np.float64]:
    """Rewards of groups of which the most successful ones are also paid for being short.

    A correct answer of such a group gets `1 - weight * sigmoid(z)`, z being its length against the mean and standard
    deviation of the group's correct answers; one of any other group gets 1; a wrong answer gets 0 everywhere. Pressure
    on length where reasoning is still weak makes it collapse.

    Source: Dai et al., "Stable Reinforcement Learning for Efficient Reasoning" (GRPO-λ), 2025, arXiv 2505.18086.

    Args:
        correct: whether each completion is correct, `[B, G]`.
        lengths: lengths of the completions, `[B, G]`.
        share: of the groups of the batch, best first, that are paid for brevity; ties go to earlier groups.
        weight: the most that length can cost.

    Returns:
        Rewards, `[B, G]`.

    Raises:
        ValueError: shapes differ, or share or weight is outside of [0, 1].
    """
    right, long = np.asarray(correct, np.bool_), np.asarray(lengths, np.float64)
    if right.shape != long.shape or right.ndim != 2:
        raise ValueError(f"got shapes {right.shape} and {long.shape}; expected the same [B, G] for both")
    if not (0 <= share <= 1 and 0 <= weight <= 1):
        raise ValueError(f"got share={share}, weight={weight}; expected both in [0, 1]")
    rewards = right.astype(np.float64)
    best = np.argsort(-right.mean(axis=1), kind="stable")[: round(share * len(right))]
    for group in best[right[best].any(axis=1)]:
        of_correct = long[group][right[group]]
        spread = of_correct.std()
        z = (long[group] - of_correct.mean()) / spread if spread else np.zeros_like(long[group])
        rewards[group] *= 1 - weight / (1 + np.exp(-z))
    return rewards
